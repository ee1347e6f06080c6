"""Records in a random order, against loops written from what the forks do."""

import pytest

from pycaffe_lite.data.leveldb_reader import LevelDbReader
from pycaffe_lite.data.leveldb_writer import write_leveldb
from pycaffe_lite.data.lmdb_reader import LmdbReader
from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.data.random_order import PoolReader, ShuffledReader, in_random_order
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto.caffe_pb2 import TEST, TRAIN, DataParameter
from pycaffe_lite.random import RandomStream

KEYS = [f"{i:03}".encode() for i in range(7)]


@pytest.fixture
def reader(tmp_path):
    write_lmdb(tmp_path / "lmdb", [(key, b"value of " + key) for key in KEYS])
    return LmdbReader(tmp_path / "lmdb")


def numbers(records):
    assert all(value == b"value of " + key for key, value in records)
    return [int(key) for key, _ in records]


@pytest.mark.parametrize(("write", "kind"), [(write_lmdb, LmdbReader), (write_leveldb, LevelDbReader)])
@pytest.mark.parametrize("size", [5, 9000])
def test_keys(write, kind, size, tmp_path):
    keys = [f"{i:05}".encode() for i in range(400)]
    write(tmp_path / "db", [(key, bytes(size)) for key in keys])
    reader = kind(tmp_path / "db")
    reader.read(150)
    assert reader.keys() == keys
    assert reader.key == keys[150]


@pytest.mark.parametrize("at_once", [True, False])
def test_shuffled(reader, at_once):
    shuffled = ShuffledReader(reader, 5, at_once)
    order, stream = list(range(7)), RandomStream(5)
    for k in range(3):
        if k or at_once:
            stream.shuffle(order)
        assert shuffled.key == KEYS[order[0]]
        assert numbers(shuffled.read(4) + shuffled.read(3)) == order
    assert (shuffled.count(), shuffled.keys()) == (7, KEYS)


def test_pool(reader):
    taken, file = PoolReader(reader, 5, 4), [i % 7 for i in range(40)]
    pool, order, stream = [], list(range(4)), RandomStream(5)
    for _ in range(12):
        new = [file.pop(0) for _ in range(2)]
        if len(pool) < 4:
            pool += new
            wanted = new
        else:
            stream.shuffle(order)
            wanted = []
            for k in range(2):
                wanted.append(pool[order[k]])
                pool[order[k]] = new[k]
        assert numbers(taken.read(2)) == wanted


@pytest.mark.parametrize("make", [lambda r: ShuffledReader(r, 5, True), lambda r: PoolReader(r, 5, 4)])
@pytest.mark.parametrize("batches", range(8))
def test_goes_on_from_its_state(reader, make, batches):
    first, second = make(reader), make(LmdbReader(reader.path))
    for _ in range(batches):
        first.read(2)
    second.set_state(first.state())
    for _ in range(9):
        assert second.read(2) == first.read(2)


def test_states_that_do_not_fit(reader, tmp_path):
    write_lmdb(tmp_path / "other", [(key, b"") for key in KEYS[1:]])
    other = LmdbReader(tmp_path / "other")
    for state, says in (
        (ShuffledReader(reader, 1, True).state(), "has changed since"),
        (b"123", "has 3 bytes"),
    ):
        with pytest.raises(DataError, match=says):
            ShuffledReader(other, 1, True).set_state(state)
    pool = PoolReader(reader, 1, 4)
    for _ in range(2):
        pool.read(2)
    for there, state, says in (
        (PoolReader(other, 1, 4), pool.state(), "no record with the key '000'"),
        (PoolReader(reader, 1, 6), pool.state(), "shuffle_pool_size or batch_size was set otherwise"),
        (PoolReader(reader, 1, 4), pool.state()[:-3], "is cut off"),
        (PoolReader(reader, 1, 4), pool.state()[:-8], "is cut off"),
        (PoolReader(reader, 1, 4), b"", "has 0 bytes"),
    ):
        before = there.peek()
        with pytest.raises(DataError, match=says):
            there.set_state(state)
        assert there.peek() == before


def order_of(reader, phase=TRAIN, **fields):
    param = DataParameter(batch_size=2, backend=DataParameter.LMDB)
    for name, value in fields.items():
        setattr(param, name, value)
    return in_random_order(reader, param, phase, RandomStream(3))


def test_whose_order_it_is(reader, caplog):
    seed = RandomStream(3).raw()
    order = list(range(7))
    RandomStream(seed).shuffle(order)
    assert numbers(order_of(reader, shuffle=True).read(7)) == order  # Intel's
    reader.seek(KEYS[0])
    for fields in ({"cache": True}, {"backend": DataParameter.LEVELDB}):  # NVIDIA's, TSN's
        taken = order_of(reader, shuffle=True, **fields)
        assert numbers(taken.read(7)) == list(range(7))
        assert numbers(taken.read(7)) == order
    assert order_of(reader) is reader
    for fields in ({"cache": False}, {"cache": True, "phase": TEST}):
        with caplog.at_level("INFO"):
            assert order_of(reader, shuffle=True, **fields) is reader
        assert caplog.messages[-1].startswith("data_param.shuffle has no effect without cache: true")
    assert isinstance(order_of(reader, shuffle_pool_size=3), PoolReader)
    with pytest.raises(DataError, match="has both shuffle and shuffle_pool_size"):
        order_of(reader, shuffle=True, shuffle_pool_size=2)


def test_no_going_to_a_key(reader):
    with pytest.raises(DataError, match="come in a random order"):
        ShuffledReader(reader, 1, True).seek(KEYS[0])
