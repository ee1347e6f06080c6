import io
import logging
import re

import numpy as np
import pytest
from one_thread import data_of, fill
from PIL import Image

from pycaffe_lite.data.lmdb_reader import LmdbReader
from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.data.prefetch import Batch
from pycaffe_lite.data.records import RecordSource
from pycaffe_lite.data.transformer import Transformer
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto.caffe_pb2 import TRAIN, Datum, TransformationParameter
from pycaffe_lite.random import RandomStream

rng = np.random.RandomState(0)


def source_of(path, batch_size, labels=True, **fields):
    transformer = Transformer(TransformationParameter(**fields), TRAIN, None)
    transformer.seed_from(RandomStream(1))
    return RecordSource(LmdbReader(path), transformer, batch_size, labels)


def filled(source):
    batch = Batch()
    fill(source, batch)
    return batch


@pytest.mark.parametrize("shape", [(1, 5, 6), (3, 90, 80)], ids=["small", "large"])
def test_batches_of_bytes(make_lmdb, shape):
    items = rng.randint(0, 256, (5, *shape), np.uint8)
    source = source_of(make_lmdb(items), 3, scale=0.5)
    assert source.shape() == shape
    for wanted in ([0, 1, 2], [3, 4, 0], [1, 2, 3]):
        batch = filled(source)
        np.testing.assert_array_equal(data_of(batch), items[wanted] * np.float32(0.5))
        np.testing.assert_array_equal(batch.labels, wanted)
        assert batch.labels.dtype == np.float32


def test_rooms_are_used_again(make_lmdb):
    source = source_of(make_lmdb(rng.randint(0, 256, (4, 1, 5, 6), np.uint8)), 2)
    source.shape()
    batch = filled(source)
    data, first = batch.data, batch.data.copy()
    fill(source, batch)
    assert batch.data is data
    assert (data != first).any()


def test_rooms_of_pixels_are_used_again(make_lmdb):
    source = source_of(make_lmdb(rng.randint(0, 256, (4, 3, 90, 80), np.uint8)), 2)
    batch = filled(source)
    pixels, first = batch.pixels, batch.pixels.copy()
    fill(source, batch)
    assert batch.pixels is pixels
    assert (pixels != first).any()
    assert not batch.data.size


def test_large_labels(make_lmdb):
    source = source_of(make_lmdb(np.zeros((300, 1, 1, 1), np.uint8)), 300)
    source.shape()
    np.testing.assert_array_equal(filled(source).labels, np.arange(300))


def test_floats_and_bytes_mixed(make_lmdb):
    items = [np.full((1, 2, 2), 7, np.uint8), np.full((1, 2, 2), -0.25, np.float32)]
    batch = filled(source_of(make_lmdb(items), 2))
    np.testing.assert_array_equal(data_of(batch), np.array(items, np.float32))


def test_without_labels(make_lmdb):
    assert not filled(source_of(make_lmdb(np.zeros((2, 1, 1, 1), np.uint8)), 2, labels=False)).labels.size


def test_each_batch_has_its_own_shape(make_lmdb):
    items = [np.ones((1, n, n), np.uint8) for n in (2, 3, 3, 4)]
    source = source_of(make_lmdb(items), 1)
    assert [filled(source).shape for _ in range(4)] == [(1, *item.shape) for item in items]


def refuses(message, function, *args):
    with pytest.raises(DataError) as raised:
        function(*args)
    assert str(raised.value) == message


@pytest.mark.parametrize("alike", [True, False])
def test_one_shape_a_batch(make_lmdb, alike):
    """Also where the number of pixels is the same."""
    items = [np.ones((1, 2, 3), np.uint8)] * 2 + [np.ones((1, 3, 2) if alike else (1, 5, 5), np.uint8)]
    path = make_lmdb(items)
    source = source_of(path, 3)
    source.shape()
    refuses(
        f"record '00000002' of '{path}' has shape {items[2].shape}, record '00000000' of the same batch has "
        "(1, 2, 3): make all records of one size, or batch_size 1",
        filled,
        source,
    )


def test_a_record_that_is_no_datum(tmp_path):
    write_lmdb(tmp_path / "text", [(b"a", b"hello")])
    problem = "not a Datum message: at byte 2: field 13 has the unusable wire type 4"
    refuses(f"record 'a' of '{tmp_path}/text': {problem}", source_of(tmp_path / "text", 1).shape)


def test_state_is_that_behind_the_batch(make_lmdb):
    items = rng.randint(0, 256, (5, 1, 6, 6), np.uint8)
    path = make_lmdb(items)
    source = source_of(path, 3, mirror=True, crop_size=3)
    batches = [filled(source) for _ in range(6)]
    for i in (0, 2, 4):
        other = source_of(path, 3, mirror=True, crop_size=3)
        other.set_state(batches[i].state)
        again = filled(other)
        np.testing.assert_array_equal(data_of(again), data_of(batches[i + 1]))
        np.testing.assert_array_equal(again.labels, batches[i + 1].labels)
        assert again.state == batches[i + 1].state


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        (b"", "the one saved has a key of 0 bytes"),
        (b"\x08\0\0\0short", "LMDB '{}' has no record with the key 'short'"),
        (b"\0\0\0\0", "the one saved has a key of 0 bytes"),
        (b"\xff\xff\0\0" + b"k" * 65535, "the one saved has a key of 65535 bytes"),
    ],
)
def test_bytes_that_are_no_state(make_lmdb, state, problem):
    path = make_lmdb(np.zeros((3, 1, 1, 1), np.uint8))
    source = source_of(path, 2)
    start = source.state()
    filled(source)
    assert source.set_state(state) == f"its first record comes next: {problem.format(path)}"
    assert source.state() == start


def test_state_of_another_database(make_lmdb):
    large = source_of(make_lmdb(np.zeros((9, 1, 1, 1), np.uint8), "large"), 7, mirror=True)
    small = source_of(make_lmdb(np.zeros((2, 1, 1, 1), np.uint8), "small"), 2, mirror=True)
    start = small.state()
    state = filled(large).state
    problem = small.set_state(state)
    assert re.fullmatch(
        r"its first record comes next: LMDB '.*' has no record with the key '00000007'", problem
    )
    assert small.state()[:12] == start[:12]
    assert small.state()[12:] == state[12:]  # its draws go on


def test_forced_colours_of_raw_records_are_said(make_lmdb, caplog):
    source = source_of(make_lmdb(np.zeros((2, 1, 1, 1), np.uint8)), 2, force_gray=True)
    with caplog.at_level(logging.ERROR):
        source.shape()
        filled(source)
    assert caplog.messages == [
        "force_color and force_gray are for encoded records: those of this database are not"
    ]


def test_encoded_records(tmp_path):
    pixels = rng.randint(0, 256, (4, 6, 5, 3), np.uint8)
    records = []
    for i, picture in enumerate(pixels):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        records.append((b"%d" % i, Datum(data=file.getvalue(), label=i, encoded=True).SerializeToString()))
    write_lmdb(tmp_path / "png", records)
    source = source_of(tmp_path / "png", 4)
    assert source.shape() == (3, 6, 5)
    batch = filled(source)
    np.testing.assert_array_equal(data_of(batch), pixels.transpose(0, 3, 1, 2)[:, ::-1])
    np.testing.assert_array_equal(batch.labels, range(4))
    assert batch.state == b"\x01\0\0\x000"


def test_a_picture_that_is_cut_off_is_told_of_once(tmp_path, caplog):
    file = io.BytesIO()
    Image.fromarray(rng.randint(0, 256, (32, 32, 3), np.uint8)).save(file, "JPEG")
    whole = file.getvalue()
    records = [
        (b"%04d" % i, Datum(data=data, label=i, encoded=True).SerializeToString())
        for i, data in enumerate([whole, whole[:-200], whole[:-100], whole])
    ]
    path = tmp_path / "db"
    write_lmdb(path, records)
    source = source_of(path, 2)
    with caplog.at_level(logging.WARNING):
        batches = [filled(source) for _ in range(6)]
    assert caplog.messages == [
        f"record '0001' of '{path}' is a JPEG that is cut off: the part that is there is used; others "
        "like it are not mentioned"
    ]
    assert batches[0].pixels.shape == (2, 3, 32, 32)
    np.testing.assert_array_equal(batches[0].pixels[1, :, :8], batches[0].pixels[0, :, :8])
    last_rows = batches[0].pixels[1, :, -8:]  # the missing ones repeat the last that is there
    np.testing.assert_array_equal(last_rows, np.repeat(last_rows[:, :1], 8, axis=1))


def test_pictures_too_large_name_their_record(tmp_path, monkeypatch):
    monkeypatch.setattr("pycaffe_lite.data.image._max_pixels", 99)
    file = io.BytesIO()
    Image.new("L", (10, 10)).save(file, "PNG")
    write_lmdb(tmp_path / "db", [(b"a", Datum(data=file.getvalue(), encoded=True).SerializeToString())])
    refuses(
        f"record 'a' of '{tmp_path}/db': it has 10 x 10 pixels, more than 99; to read it all the same, give "
        "--max_pixels or set PYCAFFE_LITE_MAX_PIXELS",
        source_of(tmp_path / "db", 1).shape,
    )
