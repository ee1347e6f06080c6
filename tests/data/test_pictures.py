import logging
import re

import numpy as np
import pytest
from one_thread import data_of
from PIL import Image

from pycaffe_lite.data.image_list import read_list
from pycaffe_lite.data.pictures import PictureSource
from pycaffe_lite.data.prefetch import Batch
from pycaffe_lite.data.transformer import Transformer
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.proto import caffe_pb2

COUNT = 5


@pytest.fixture
def source(tmp_path):
    """Makes sources of pictures 0.png to 4.png, whose pixels and labels are their numbers."""
    for i in range(COUNT):
        Image.fromarray(np.full((2, 3), i, np.uint8)).save(tmp_path / f"{i}.png")
    write_list(tmp_path, "".join(f"{i}.png {i}\n" for i in range(COUNT)))

    def make(**options):
        transformer = Transformer(caffe_pb2.TransformationParameter(), caffe_pb2.TEST, None, "pictures")
        options = {"batch_size": 2, "color": False, **options}
        return PictureSource(
            read_list(tmp_path / "list.txt"), lambda name: tmp_path / name, transformer, **options
        )

    return make


def write_list(folder, text):
    (folder / "list.txt").write_text(text)


def labels_of(source, batches=1):
    """The labels of the next batches, whose pixels are the same numbers."""
    found = []
    for _ in range(batches):
        work, batch = source.plan(), Batch()
        for piece in range(work.pieces):
            work.run(piece, batch)
        assert (data_of(batch) == batch.labels.reshape(-1, 1, 1, 1)).all()
        found += batch.labels.astype(int).tolist()
    return found


def test_after_the_last_picture_comes_the_first(source):
    assert labels_of(source(), 5) == [0, 1, 2, 3, 4] * 2
    assert labels_of(source(start=3), 2) == [3, 4, 0, 1]
    assert labels_of(source(batch_size=12)) == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]


def test_each_epoch_is_shuffled_anew(source):
    found = labels_of(source(shuffler_seed=1, batch_size=COUNT), 4)
    epochs = [found[i : i + COUNT] for i in range(0, len(found), COUNT)]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert found == labels_of(source(shuffler_seed=1, batch_size=COUNT), 4)


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("batches", [0, 1, 4])
def test_it_goes_on_from_its_state(source, seed, batches):
    first = source(shuffler_seed=seed)
    labels_of(first, batches)
    other = source(shuffler_seed=None if seed is None else 99)
    assert other.set_state(first.state()) == ""
    assert other.state() == first.state()
    assert labels_of(other, 6) == labels_of(first, 6)


@pytest.mark.parametrize(
    ("options", "text", "problem"),
    [
        ({"shuffler_seed": 3}, None, "shuffle was set otherwise when the state was saved"),
        ({}, "0.png 0\n1.png 1\n", "'.*list.txt' has changed since the state was saved"),
    ],
)
def test_a_state_of_something_else(source, tmp_path, options, text, problem):
    state = source().state()
    if text:
        write_list(tmp_path, text)
    other = source(start=1, **options)
    labels_of(other)
    said = other.set_state(state)
    assert re.match(f"its list starts afresh: {problem}$", said)
    assert labels_of(other) == labels_of(source(start=1, **options))
    assert other.set_state(b"x").startswith("its list starts afresh: the state saved has 1 bytes")


def test_sizes_and_colours(source):
    assert source().shape() == (1, 2, 3)
    assert source(color=True).shape() == (3, 2, 3)
    assert source(size=(4, 7)).shape() == (1, 4, 7)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("0.png 0\n\n", DataError, "names no picture: leave no line empty"),
        ("none.png 0\n", FileLookupError, "none.png"),
        ("a.png\t3\n", FileLookupError, "a space must stand before the label, not a tab"),
        ("list.txt 0\n", DataError, "list.txt"),
    ],
)
def test_pictures_that_cannot_be_read_are_named_with_their_line(source, tmp_path, text, kind, says):
    write_list(tmp_path, text)
    lines = text.count("\n")
    made = source(start=lines - 1)
    with pytest.raises(kind, match=rf"^line {lines} of '.*list.txt'.*{says}"):
        labels_of(made)


def test_pictures_of_two_sizes(source, tmp_path):
    Image.fromarray(np.zeros((4, 3), np.uint8)).save(tmp_path / "1.png")
    says = r"picture '1.png' has shape \(1, 4, 3\), '0.png' of the same batch has \(1, 2, 3\): give "
    with pytest.raises(DataError, match=says):
        labels_of(source())


def test_a_jpeg_that_is_cut_off_is_told_of_once(source, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-500])
    write_list(tmp_path, "a.jpg 1\na.jpg 2\n")
    made = source(size=(2, 2))
    for key in (0, 1):
        made.read(key)
    (message,) = caplog.messages
    assert "a.jpg' is a JPEG that is cut off: what is missing is grey, as in Caffe" in message
