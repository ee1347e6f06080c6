import numpy as np
import pytest

from pycaffe_lite.kernels.datum_fields import encoded_file
from pycaffe_lite.proto.caffe_pb2 import Datum

FILE = bytes(range(250)) * 2
GOOD = Datum(data=FILE, label=300, encoded=True).SerializeToString()


def found_in(message, python):
    """The file and the label; None of a message of another kind."""
    found = np.empty(3, np.int64)
    function = encoded_file.py_func if python else encoded_file
    if not function(np.frombuffer(message, np.uint8), found):
        return None
    start, end, label = found.tolist()
    return message[start:end], label


python = pytest.mark.parametrize("python", [False, True])


@python
@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (GOOD, (FILE, 300)),
        (
            Datum(channels=3, height=256, width=2**27, data=b"x", encoded=True).SerializeToString(),
            (b"x", 0),
        ),
        (Datum(label=1, encoded=True).SerializeToString(), (b"", 1)),
        (Datum(data=b"old", label=2).SerializeToString() + GOOD, (FILE, 300)),
        (b"\x38\x02" + GOOD[:-2], (FILE, 300)),
    ],
)
def test_fields(message, wanted, python):
    assert found_in(message, python) == wanted


@python
@pytest.mark.parametrize(
    "message",
    [
        b"",
        GOOD[:-2],  # not encoded
        GOOD + b"\x38\x00",
        GOOD + b"\x2d\0\0\x80\x3f",  # label as a fixed number
        Datum(data=FILE, label=-1, encoded=True).SerializeToString(),
        Datum(data=FILE, label=2**28, encoded=True).SerializeToString(),
        Datum(float_data=[1], encoded=True).SerializeToString(),
        GOOD + b"\x35\0\0\x80\x3f",
        GOOD + b"\x48\x01",  # field 9
        GOOD + b"\x00\x01",
        GOOD[:100],
        GOOD + b"\x28",
        GOOD + b"\x28\x80",
    ],
)
def test_other_messages(message, python):
    assert found_in(message, python) is None
