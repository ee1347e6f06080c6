import io
import logging

import numpy as np
import pytest
from PIL import Image

from pycaffe_lite.data.database import open_any
from pycaffe_lite.data.imageset import Imageset, Settings
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 4, 5, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    for i, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i + 5}\n" for i in range(len(PIXELS))))
    return tmp_path


def convert(folder, **settings):
    """The number of records, and the records as keys and messages."""
    made = Imageset(f"{folder}/", folder / "list.txt", folder / "db", "lmdb", Settings(**settings))
    done = []
    count = made.convert(done.append)
    assert sum(done) == len(made)
    _, reader = open_any(folder / "db", None)
    records = reader.read(reader.count()) if count else []
    return count, [(key, caffe_pb2.Datum.FromString(value)) for key, value in records]


def test_pixels_are_stored_as_opencv_has_them(folder):
    """By channel, blue first."""
    count, records = convert(folder)
    assert count == 4
    assert [key for key, _ in records] == [b"%08d_%d.png" % (i, i) for i in range(4)]
    for (_, datum), pixels in zip(records, PIXELS, strict=True):
        assert (datum.channels, datum.height, datum.width, datum.encoded) == (3, 4, 5, False)
        assert datum.data == pixels[..., ::-1].transpose(2, 0, 1).tobytes()
    assert [datum.label for _, datum in records] == [5, 6, 7, 8]


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"gray": True}, (1, 4, 5)),
        ({"resize_height": 2, "resize_width": 3}, (3, 2, 3)),
        ({"resize_height": 2}, (3, 4, 5)),
    ],
)
def test_what_becomes_of_a_picture(folder, settings, shape):
    for _, datum in convert(folder, **settings)[1]:
        assert (datum.channels, datum.height, datum.width) == shape
        assert len(datum.data) == np.prod(shape)


def test_files_are_stored_as_they_are_or_encoded_anew(folder):
    (_, same), *_ = convert(folder, encoded=True)[1]
    assert same.encoded
    assert same.data == (folder / "0.png").read_bytes()


@pytest.mark.parametrize(
    ("settings", "kind", "size"),
    [
        ({"encode_type": "jpg"}, "JPEG", (5, 4)),
        ({"encoded": True, "resize_height": 2, "resize_width": 3}, "PNG", (3, 2)),
    ],
)
def test_encoded_anew(folder, settings, kind, size):
    (_, datum), *_ = convert(folder, **settings)[1]
    picture = Image.open(io.BytesIO(datum.data))
    assert (picture.format, picture.size, datum.encoded) == (kind, size, True)


def test_files_that_cannot_be_read_are_left_out(folder, caplog):
    (folder / "1.png").unlink()
    (folder / "2.png").write_text("no picture")
    caplog.set_level(logging.ERROR)
    count, records = convert(folder)
    assert (count, [key[:8] for key, _ in records]) == (2, [b"00000000", b"00000003"])
    assert caplog.messages == [f"Could not open or find file {folder}/{i}.png" for i in (1, 2)]


def test_pictures_of_other_sizes_where_they_are_checked(folder):
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(folder / "2.png")
    with pytest.raises(
        DataError, match=r"2.png' gives 72 bytes, the first one 60 values: make all of one size"
    ):
        convert(folder, check_size=True)


def test_shuffled_records_have_the_labels_of_their_names(folder):
    _, records = convert(folder, shuffle=True)
    names = [key.partition(b"_")[2] for key, _ in records]
    assert sorted(names) == [b"%d.png" % i for i in range(4)]
    assert [datum.label for _, datum in records] == [int(name[:1]) + 5 for name in names]


def test_without_a_list_the_database_is_empty(folder, caplog):
    (folder / "list.txt").write_text("")
    caplog.set_level(logging.WARNING)
    made = Imageset(f"{folder}/", folder / "list.txt", folder / "db", "lmdb", Settings())
    assert len(made) == made.convert(print) == 0
    assert "the database will be empty, as in Caffe" in caplog.text


def test_a_kind_of_file_that_cannot_be_written(folder):
    with pytest.raises(DataError, match="cannot be encoded as 'gif': give an --encode_type out of jpg, "):
        convert(folder, encode_type="gif")
