import threading

import numpy as np
import pytest
from one_thread import data_of

from pycaffe_lite.data.image import resize
from pycaffe_lite.data.item_work import Item, ItemWork
from pycaffe_lite.data.prefetch import Batch
from pycaffe_lite.data.transformer import Transformer
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse


class Reader:
    """Items by name; those that are exceptions cannot be read."""

    def __init__(self, **items):
        self.items = items

    def read(self, key):
        if isinstance(self.items[key], Exception):
            raise self.items[key]
        item = self.items[key]
        return item if isinstance(item, Item) else Item(item, ord(key))

    def name(self, key):
        return f"item '{key}'"

    def other_shape(self, key, fit, first, wanted):
        return DataError(f"{key} has {fit.shape}, {first} has {wanted.shape}")


def work_on(reader, keys, fields="", labels=True):
    transform = parse(fields, caffe_pb2.TransformationParameter).message
    transformer = Transformer(transform, caffe_pb2.TEST, None, "items")
    draws = transformer.draw(len(keys))
    return ItemWork(list(keys), draws, reader, transformer, labels, b"state")


def run(work, order=None):
    batch = Batch()
    for piece in order or range(work.pieces):
        work.run(piece, batch)
    work.finish(batch)
    return batch


ITEMS = {key: np.full((1, 2, 3), i, np.uint8) for i, key in enumerate("abc")}


def test_items_stand_in_the_order_of_their_keys():
    work = work_on(Reader(**ITEMS), "cab", "scale: 0.5")
    batch = run(work, [0, 2, 1])
    np.testing.assert_array_equal(data_of(batch), np.stack([ITEMS[key] / 2 for key in "cab"]))
    assert batch.labels.tolist() == [ord(key) for key in "cab"]
    assert (work.pieces, work.state) == (3, b"state")


def test_without_labels():
    assert run(work_on(Reader(**ITEMS), "ab", labels=False)).labels.size == 0


def test_other_pieces_wait_for_the_shape_of_the_first():
    work, batch = work_on(Reader(**ITEMS), "ab"), Batch()
    thread = threading.Thread(target=work.run, args=(1, batch))
    thread.start()
    thread.join(0.02)
    assert thread.is_alive()
    work.run(0, batch)
    thread.join()
    assert data_of(batch)[1, 0, 0, 0] == 1


def test_a_crop_makes_items_of_other_sizes_fit():
    large = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    batch = run(work_on(Reader(a=ITEMS["b"], b=large), "ab", "crop_size: 2"))
    np.testing.assert_array_equal(data_of(batch)[1, 0], large[0, 1:3, 1:3])


@pytest.mark.parametrize("fields", ["", "crop_size: 3", "noise_param { inverse: true }"])
@pytest.mark.parametrize("size", [(4, 5), (3, 4)], ids=["bilinear", "half"])
def test_items_that_are_resized(fields, size):
    """Only what is kept is made, of pixels in any order."""
    memory = np.random.RandomState(0).randint(0, 256, (2, 6, 8, 4), np.uint8)
    pixels = memory[..., 2::-1]
    whole = [Item(resize(np.ascontiguousarray(p), *size).transpose(2, 0, 1), 1) for p in pixels]
    wanted = data_of(run(work_on(Reader(a=whole[0], b=whole[1]), "ab", fields)))
    rgbx = [arr.reshape(-1).reshape(6, 8, 4)[..., 2::-1] for arr in memory]
    for given in (rgbx, [np.ascontiguousarray(p) for p in pixels]):
        items = [Item(p.transpose(2, 0, 1), 1, size) for p in given]
        work = work_on(Reader(a=items[0], b=items[1]), "ab", fields)
        np.testing.assert_array_equal(data_of(run(work)), wanted)
        np.testing.assert_array_equal(items[0].resized(), whole[0].values)
        assert items[0].shape == (3, *size)
    planes = Item(np.ascontiguousarray(pixels[0].transpose(2, 0, 1)), 1, size)
    np.testing.assert_array_equal(data_of(run(work_on(Reader(a=planes), "a", fields))), wanted[:1])


def test_pixels_behind_floats():
    floats = np.full((1, 2, 3), 0.5, np.float32)
    batch = run(work_on(Reader(a=floats, b=ITEMS["b"]), "ab", "scale: 0.5"))
    np.testing.assert_array_equal(data_of(batch), np.stack([floats / 2, ITEMS["b"] / 2]))


def test_an_item_of_another_shape():
    reader = Reader(a=ITEMS["a"], b=np.zeros((1, 4, 4), np.uint8))
    with pytest.raises(DataError, match=r"^b has \(1, 4, 4\), a has \(1, 2, 3\)$"):
        run(work_on(reader, "ab"))


def test_an_item_that_cannot_be_transformed_is_named():
    with pytest.raises(DataError, match=r"^item 'a': crop_size 9 does not fit"):
        run(work_on(Reader(**ITEMS), "ab", "crop_size: 9"))


def test_where_the_first_item_cannot_be_read_others_neither_wait_nor_fail():
    work, batch = work_on(Reader(a=DataError("bad"), b=ITEMS["b"]), "ab"), Batch()
    with pytest.raises(DataError, match="bad"):
        work.run(0, batch)
    work.run(1, batch)
