import io

import numpy as np
import pytest
from listed import ListReader, datum
from PIL import Image

from pycaffe_lite.data.contents import datum_message, file_kind, survey
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2


def picture(kind, mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, (5, 4)).save(file, kind)
    return file.getvalue()


def test_survey():
    records = [
        (b"a", datum(np.zeros((1, 2, 3), np.uint8), 7)),
        (b"b", datum(np.zeros((1, 2, 3), np.float32), 7)),
        (b"c", datum(picture("PNG"), -1)),
        (b"d", datum(picture("JPEG", "L"), 0)),
        (b"e", datum(b"\x89PNG cut off", 0)),
        (b"f", caffe_pb2.Datum(label=7).SerializeToString()),
    ]
    done = []
    found = survey(ListReader(records), 6, lambda: done.append(1))
    assert (found.records, found.first_key, found.last_key, len(done)) == (6, b"a", b"f", 6)
    assert found.size == sum(len(value) for _, value in records)
    assert found.labels == {7: 3, -1: 1, 0: 2}
    assert found.kinds == {"bytes": 1, "floats": 1, "PNG": 2, "JPEG": 1, "empty": 1}
    assert found.shapes == {(1, 2, 3): 2, (3, 4, 5): 1, (1, 4, 5): 1, (0, 0, 0): 2}


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("JPEG", ("JPEG", "jpg")),
        ("PNG", ("PNG", "png")),
        ("GIF", ("GIF", "gif")),
        ("BMP", ("BMP", "bmp")),
        ("TIFF", ("TIFF", "tif")),
        ("WEBP", ("WebP", "webp")),
    ],
)
def test_kinds_of_picture_files(kind, found):
    assert file_kind(picture(kind)) == found


def test_other_files():
    assert file_kind(b"%PDF") == file_kind(b"") == ("unknown", "bin")


def test_what_is_no_datum():
    with pytest.raises(DataError, match=r"^record 'k1' of 'db': not a Datum message: "):
        datum_message(ListReader([]), b"k1", b"\xff")
