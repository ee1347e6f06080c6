import numpy as np
import pytest

from pycaffe_lite.data import image
from pycaffe_lite.data.datum import DatumReader
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto.caffe_pb2 import Datum

PIXELS = np.random.RandomState(0).randint(0, 256, (2, 3, 4), np.uint8)


def message(label=3, pixels=PIXELS, **fields):
    C, H, W = pixels.shape
    datum = Datum(channels=C, height=H, width=W, **fields)
    if label is not None:
        datum.label = label
    if pixels.dtype == np.uint8:
        datum.data = pixels.tobytes()
    else:
        datum.float_data.extend(pixels.ravel().tolist())
    return datum.SerializeToString()


@pytest.mark.parametrize("label", [0, 1, 127, 128, 999, 16383, 16384, 2**31 - 1, -1, None])
@pytest.mark.parametrize("fields", [{}, {"encoded": False}], ids=str)
def test_bytes(label, fields):
    reader = DatumReader()
    for _ in range(3):  # walked, then recognised
        datum = reader.read(message(label, **fields))
        np.testing.assert_array_equal(datum.values, PIXELS)
        assert datum.values.dtype == np.uint8
        assert datum.label == (label or 0)
        assert not datum.encoded


def test_floats():
    values = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4)
    datum = DatumReader().read(message(7, values))
    np.testing.assert_array_equal(datum.values, values)
    assert datum.values.dtype == np.float32
    assert datum.label == 7


def test_bytes_win_over_floats():
    datum = DatumReader().read(message(float_data=[1.0] * 24))
    np.testing.assert_array_equal(datum.values, PIXELS)


def test_no_bytes_are_no_data():
    values = np.ones((1, 1, 2), np.float32)
    assert DatumReader().read(message(0, values, data=b"")).values.tolist() == [[[1.0, 1.0]]]


def test_sizes_may_change_and_come_in_any_order():
    reader = DatumReader()
    for shape in ((2, 3, 4), (1, 3, 4), (2, 3, 4), (1, 2, 2)):
        pixels = np.full(shape, shape[0], np.uint8)
        np.testing.assert_array_equal(reader.read(message(1, pixels)).values, pixels)
    # Label and pixels first, then the sizes, and a field that no schema knows.
    swapped = b"\x28\x05\x22\x02ab\x08\x01\x10\x01\x18\x02\x78\x01"
    for _ in range(2):
        datum = reader.read(swapped)
        assert datum.values.tolist() == [[[97, 98]]]
        assert datum.label == 5


def test_other_fields_behind_the_pixels_are_read():
    """A message that begins like the last one may end otherwise."""
    reader = DatumReader()
    reader.read(message(1))
    with pytest.raises(DataError, match=r"^its 24 bytes are not those of an image$"):
        reader.read(message(1, encoded=True))
    assert reader.read(message(1) + b"\x08\x01\x10\x06").values.shape == (1, 6, 4)


def test_encoded_images_are_decoded(monkeypatch):
    seen = []
    monkeypatch.setattr(
        image,
        "decode",
        lambda data, color, packed, from_memory: seen.append((data, color)) or image.Picture(PIXELS, True),
    )
    encoded = Datum(data=b"file", label=4, encoded=True).SerializeToString()
    datum = DatumReader(color=True).read(encoded)
    assert seen == [(b"file", True)]
    np.testing.assert_array_equal(datum.values, PIXELS.transpose(2, 0, 1))
    assert datum.is_cut
    assert datum.label == 4
    assert datum.encoded


@pytest.mark.parametrize("fields", [{}, {"encoded": False}], ids=str)
def test_many_alike(fields):
    reader = DatumReader()
    rng = np.random.RandomState(1)
    items = rng.randint(0, 256, (5, 2, 3, 4), np.uint8)
    messages = [message(i * 20, pixels, **fields) for i, pixels in enumerate(items)]
    assert reader.read_alike(messages) is None  # nothing is known of them yet
    reader.read(messages[0])
    values, labels = reader.read_alike(messages)
    np.testing.assert_array_equal(values, items)
    assert labels.tolist() == [0, 20, 40, 60, 80]


@pytest.mark.parametrize(
    "other",
    [
        message(200),
        message(16500),
        message(None),
        message(0, encoded=False),
        message(0, encoded=True),
        message(1, PIXELS.reshape(3, 2, 4)),
        message(1, np.zeros((1, 1, 1), np.uint8)),
        message(1)[:-2] + b"\x38\x00",
        message(1)[:-1] + b"\x80",
        message(1, np.zeros((2, 3, 4), np.float32)),
    ],
)
@pytest.mark.parametrize("place", [0, 2])
def test_one_that_is_not_alike(other, place):
    reader = DatumReader()
    messages = [message(1)] * 3
    reader.read(messages[0])
    messages[place] = other
    assert reader.read_alike(messages) is None


def test_large_messages_are_read_one_by_one():
    reader = DatumReader()
    large = [message(1, np.zeros((3, 100, 100), np.uint8))] * 2
    reader.read(large[0])
    assert reader.read_alike(large) is None


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (message()[:-10], "not a Datum message: at byte 6: field 4 needs 24 bytes, 16 are left"),
        (b"\x00\x01", "not a Datum message: at byte 0: field number 0 is impossible"),
        (b"", "says shape (0, 0, 0), but holds 0 values"),
        (message(pixels=PIXELS[:, :, :3]) + b"\x18\x04", "says shape (2, 3, 4), but holds 18 values"),
        (
            Datum(channels=1, height=2, width=2).SerializeToString(),
            "says shape (1, 2, 2), but holds 0 values",
        ),
        (
            Datum(channels=-1, height=-1, width=1, data=b"a").SerializeToString(),
            "says shape (-1, -1, 1), but holds 1 values",
        ),
    ],
    ids=range(6),
)
def test_what_is_no_datum(bad, error):
    reader = DatumReader()
    for _ in range(2):
        with pytest.raises(DataError) as raised:
            reader.read(bad)
        assert str(raised.value) == error
