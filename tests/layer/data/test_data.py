"""Data: what Caffe read from its own database (data/db), then our own ways out of trouble."""

import gc
import logging
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.errors import DataError, FileLookupError, LayerError
from pycaffe_lite.layer.base import LayerContext
from pycaffe_lite.layer.data import data as data_layers
from pycaffe_lite.layer.registry import create_layer
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse
from pycaffe_lite.random import RandomStream

DB = FIXTURES / "db"
TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST


@pytest.fixture
def db(tmp_path):
    """A copy of the folder: reading leaves a lock file in it."""
    return Path(shutil.copytree(DB, tmp_path / "db"))


class Rig:
    """A Data layer and its tops."""

    def __init__(self, folder, prototxt, phase=TEST, tops=2, seed=1, dtype=np.float32):
        message = parse(f'name: "mnist" type: "Data" {prototxt}', caffe_pb2.LayerParameter).message
        message.phase = phase
        context = LayerContext(dtype=np.dtype(dtype), folder=folder, where="net.prototxt:3: ")
        random.set_random_seed(seed)
        self.layer = create_layer(message, context)
        self.top = [Blob(dtype=dtype) for _ in range(tops)]
        self.layer.set_up([], self.top)

    def forward(self):
        self.layer.reshape([], self.top)
        self.layer.forward([], self.top)
        return [blob.data.copy() for blob in self.top]


def mnist(batch_size=16, transform="", **fields):
    more = " ".join(f"{name}: {value}" for name, value in fields.items())
    return (
        f"transform_param {{ {transform} }} "
        f'data_param {{ source: "mnist_200_lmdb" backend: LMDB batch_size: {batch_size} {more} }}'
    )


@pytest.mark.parametrize("name", sorted(path.stem for path in DB.glob("*.prototxt")))
def test_batches_are_caffe_s(name, db):
    golden = np.load(DB / f"{name}.npz")
    random.set_random_seed(int(golden["seed"]))
    net = Net(db / f"{name}.prototxt", int(golden["phase"]))
    for data, label in zip(golden["data"], golden["label"], strict=True):
        net.forward()
        np.testing.assert_array_equal(net.blobs["data"].data, data)
        np.testing.assert_array_equal(net.blobs["label"].data, label)


@pytest.mark.parametrize(
    ("phase", "transform", "draws"),
    [
        (TRAIN, "scale: 2", 1),
        (TEST, "crop_size: 20", 1),
        (TRAIN, "crop_size: 20", 3),
        (TRAIN, "mirror: true", 3),
        (TEST, "mirror: true", 3),
        (TRAIN, "mirror: true crop_size: 20", 3),
    ],
)
def test_draws_of_the_main_stream(db, phase, transform, draws):
    rig = Rig(db, mnist(transform=transform), phase, seed=9)
    rig.forward()
    wanted = random.RandomStream(9)
    wanted.raw_array(draws)
    assert random.stream().raw() == wanted.raw()


def test_shapes_are_known_before_the_first_pass(db, caplog):
    with caplog.at_level(logging.INFO):
        rig = Rig(db, mnist(64, "crop_size: 20"))
    assert rig.top[0].shape == (64, 1, 20, 20)
    assert rig.top[1].shape == (64,)
    assert caplog.messages == [f"Opened lmdb {db / 'mnist_200_lmdb'}", "output data size: 64,1,20,20"]
    assert rig.layer._prefetcher is None  # no thread, no memory for a net that is only looked at


def test_labels_are_left_out_with_one_top(db):
    (images,) = Rig(db, mnist(3), tops=1).forward()
    np.testing.assert_array_equal(images, Rig(db, mnist(3)).forward()[0])


def test_double_precision_nets_get_the_same_numbers(db):
    images, labels = Rig(db, mnist(3, "scale: 0.1"), dtype=np.float64).forward()
    wanted = Rig(db, mnist(3, "scale: 0.1")).forward()
    assert images.dtype == labels.dtype == np.float64
    np.testing.assert_array_equal(images, wanted[0])
    np.testing.assert_array_equal(labels, wanted[1])


def test_two_layers_read_one_database(db):
    one, two = Rig(db, mnist(3)), Rig(db, mnist(2))
    np.testing.assert_array_equal(one.forward()[1], [5, 0, 4])
    np.testing.assert_array_equal(two.forward()[1], [5, 0])
    np.testing.assert_array_equal(one.forward()[1], [1, 9, 2])
    np.testing.assert_array_equal(two.forward()[1], [4, 1])


def test_views_of_a_top_stay_valid(db):
    """Whoever holds `net.blobs['data'].data` sees each new batch."""
    rig = Rig(db, mnist(3))
    rig.forward()
    view = rig.top[1].data
    rig.forward()
    assert view.tolist() == [1, 9, 2]


def test_image_sizes_may_change_between_batches(tmp_path):
    def records():
        for i, n in enumerate((2, 3)):
            datum = caffe_pb2.Datum(channels=1, height=n, width=n, data=bytes(range(n * n)), label=i)
            yield b"%d" % i, datum.SerializeToString()

    write_lmdb(tmp_path / "sizes", records())
    rig = Rig(tmp_path, 'data_param { source: "sizes" backend: LMDB batch_size: 1 }')
    assert [rig.forward()[0].shape for _ in range(3)] == [(1, 1, 2, 2), (1, 1, 3, 3), (1, 1, 2, 2)]


# --------------------------------------------------------------------------------------------- exact resume


@pytest.mark.parametrize("passes", [0, 1, 5])
def test_state_is_what_was_consumed(db, passes):
    """Not what the thread had read ahead."""
    prototxt = mnist(30, "mirror: true crop_size: 20")
    rig = Rig(db, prototxt, TRAIN)
    for _ in range(passes):
        rig.forward()
    state = rig.layer.state()
    wanted = [rig.forward() for _ in range(9)]
    fresh = Rig(db, prototxt, TRAIN, seed=77)
    fresh.layer.set_state(state)
    assert fresh.layer.state() == state
    rig.layer.set_state(state)  # also in the middle of a run
    for images, labels in wanted:
        for other in (fresh, rig):
            again = other.forward()
            np.testing.assert_array_equal(again[0], images)
            np.testing.assert_array_equal(again[1], labels)


@pytest.mark.parametrize("name", ["raw_leveldb_tables", "raw_leveldb_log", "deep_leveldb"])
def test_a_leveldb_goes_on_exactly(name):
    folder = FIXTURES / "data_layers" / "db"
    prototxt = f'transform_param {{ mirror: true }} data_param {{ source: "{name}" batch_size: 5 }}'
    rig = Rig(folder, prototxt, TRAIN)
    rig.forward()
    state = rig.layer.state()
    wanted = [rig.forward()[0] for _ in range(4)]
    fresh = Rig(folder, prototxt, TRAIN, seed=77)
    assert fresh.layer.set_state(state) == ""
    np.testing.assert_array_equal([fresh.forward()[0] for _ in range(4)], wanted)


def test_a_state_of_something_else(db):
    """It starts again with the first record, and its own state says so."""
    rig = Rig(db, mnist())
    start, first = rig.layer.state(), rig.forward()
    rig.forward()
    assert rig.layer.set_state(b"abc") == ("its first record comes next: the one saved has a key of 0 bytes")
    assert rig.layer.state() == start
    np.testing.assert_array_equal(rig.forward()[0], first[0])


# --------------------------------------------------------------------------------------------- its thread


def test_the_thread_ends_with_the_layer(db):
    before = set(threading.enumerate())
    rig = Rig(db, mnist())
    rig.forward()
    (thread,) = set(threading.enumerate()) - before
    assert thread.daemon
    del rig
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


# ------------------------------------------------------------------------------------------------ bad input


def refuses(message, function, *args, kind=DataError):
    with pytest.raises(kind) as raised:
        function(*args)
    assert str(raised.value) == message
    assert type(raised.value) is kind


PLACE = "net.prototxt:3: layer 'mnist' (Data): "


def test_a_source_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prototxt = 'data_param { source: "/nowhere/train_lmdb" backend: LMDB batch_size: 1 }'
    refuses(f"{PLACE}no such file: '/nowhere/train_lmdb'", Rig, None, prototxt, kind=FileLookupError)
    prototxt = 'data_param { source: "train_lmdb" backend: LMDB batch_size: 1 }'
    message = f"{PLACE}no such file: 'train_lmdb' (looked in {tmp_path})"
    refuses(message, Rig, None, prototxt, kind=FileLookupError)


def test_no_source():
    refuses(f"{PLACE}a file name is empty", Rig, None, "data_param { batch_size: 1 }", kind=FileLookupError)


def test_an_empty_database(tmp_path):
    write_lmdb(tmp_path / "empty", [])
    prototxt = 'data_param { source: "empty" backend: LMDB batch_size: 1 }'
    message = f"{PLACE}LMDB '{tmp_path}/empty' holds no records: fill it, or name another source"
    refuses(message, Rig, tmp_path, prototxt)


def test_the_default_backend(db):
    prototxt = 'data_param { source: "mnist_200_lmdb" batch_size: 1 }'
    refuses(
        f"{PLACE}data_param.backend is LEVELDB, its default, but '{db}/mnist_200_lmdb' is an LMDB: "
        "write 'backend: LMDB'",
        Rig,
        db,
        prototxt,
    )


def test_more_batches_than_there_is_memory_for(db, monkeypatch):
    monkeypatch.setattr("pycaffe_lite.layer.data.prefetching.machine_memory", lambda: 2.0**34)
    message = (
        f"{PLACE}data_param.prefetch: 4294967295 batches would take 1.66e+04 GiB, more than half of this "
        "machine's 16; the default is 4"
    )
    start = time.perf_counter()
    refuses(message, Rig, db, mnist(1, prefetch=4294967295), kind=LayerError)
    assert time.perf_counter() - start < 1
    Rig(db, mnist(1, prefetch=1_000_000))


def test_a_crop_larger_than_the_images(db):
    message = f"{PLACE}crop_size 32 does not fit records of shape (1, 28, 28): make it 28 at most"
    refuses(message, Rig, db, mnist(transform="crop_size: 32"))


def test_a_record_of_another_size(tmp_path):
    def records():
        for i, n in enumerate((2, 2, 2, 3)):
            datum = caffe_pb2.Datum(channels=1, height=n, width=n, data=bytes(n * n), label=i)
            yield b"%08d" % i, datum.SerializeToString()

    write_lmdb(tmp_path / "sizes", records())
    rig = Rig(tmp_path, 'data_param { source: "sizes" backend: LMDB batch_size: 2 }')
    rig.forward()
    message = (
        f"{PLACE}record '00000003' of '{tmp_path}/sizes' has shape (1, 3, 3), record '00000002' of the same "
        "batch has (1, 2, 2): make all records of one size, or batch_size 1"
    )
    for _ in range(2):
        refuses(message, rig.forward)


@pytest.mark.parametrize("field", ["batch_size", "prefetch"])
def test_numbers_that_must_not_be_zero(db, field):
    fields = {"batch_size": 1, "prefetch": 4, field: 0}
    message = f"{PLACE}needs data_param.{field} > 0"
    refuses(message, Rig, db, mnist(**fields), kind=LayerError)


def test_fields_without_effect_are_said(db, caplog):
    with caplog.at_level(logging.WARNING):
        rig = Rig(db, mnist(2, rand_skip=5, scale=0.5, mirror="false"))
    assert caplog.messages == [
        "layer 'mnist' (Data): data_param.scale has no effect, as in Caffe: write transform_param.scale",
        "layer 'mnist' (Data): data_param.mirror has no effect, as in Caffe: write transform_param.mirror",
        "layer 'mnist' (Data): data_param.rand_skip has no effect, as in Caffe",
    ]
    np.testing.assert_array_equal(rig.forward()[1], [5, 0])


def test_every_field_is_used_or_said_to_have_no_effect():
    used = {"source", "batch_size", "backend", "prefetch", "shuffle", "shuffle_pool_size", "cache"}
    fields = {field.name for field in caffe_pb2.DataParameter.DESCRIPTOR.fields}
    assert fields == used | set(data_layers.WITHOUT_EFFECT)


def test_mycaffes_database():
    text = 'name: "d" type: "Data" data_param { source: "MNIST.training" batch_size: 2 backend: IMAGEDB }'
    layer = create_layer(parse(text, caffe_pb2.LayerParameter).message, LayerContext())
    with pytest.raises(LayerError) as raised:
        layer.set_up([], [Blob()])
    assert str(raised.value) == (
        "layer 'd' (Data): data_param.backend IMAGEDB is MyCaffe's SQL database, which is not supported: "
        "convert the data to an LMDB and write 'backend: LMDB'"
    )


@pytest.mark.parametrize("fields", [{"shuffle": "true"}, {"shuffle_pool_size": 3}])
def test_random_orders_go_on_from_a_state(db, fields):
    first, second = (Rig(db, mnist(30, "mirror: true", **fields), seed=seed) for seed in (1, 2))
    for _ in range(9):
        before = first.forward()[1]
    assert second.layer.set_state(first.layer.state()) == ""
    for _ in range(9):
        for a, b in zip(first.forward(), second.forward(), strict=True):
            np.testing.assert_array_equal(a, b)
    plain = Rig(db, mnist(30))
    for _ in range(9):
        in_order = plain.forward()[1]
    assert (in_order != before).any()


def test_shuffled_as_intel_does(db):
    labels = Rig(db, mnist(200)).forward()[1]
    found = Rig(db, mnist(200, shuffle="true"), seed=4)
    thread = RandomStream(RandomStream(4).raw())
    order, shuffler = list(range(200)), RandomStream(thread.raw())
    for _ in range(2):
        shuffler.shuffle(order)
        np.testing.assert_array_equal(found.forward()[1], labels[order])
    said = found.layer.set_state(Rig(db, mnist(200)).layer.state())
    assert said.startswith("the order of its records starts afresh: the state saved of its order has")


def test_both_orders_are_too_many(db):
    with pytest.raises(DataError, match="has both shuffle and shuffle_pool_size"):
        Rig(db, mnist(2, shuffle="true", shuffle_pool_size=2))


def test_zeros_are_not_put_around_raw_records(db):
    with pytest.raises(DataError, match="pad has no effect on records that are not encoded in Intel's fork"):
        Rig(db, mnist(2, "pad: 2"))
