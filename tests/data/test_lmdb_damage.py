"""Damaged databases: the records, or an error that names the database; never a crash, and never for ever."""

import time
import tracemalloc

import lmdb
import lmdb_damage
import numpy as np
import pytest

from pycaffe_lite.data.lmdb_reader import LmdbReader
from pycaffe_lite.errors import DataError
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto.caffe_pb2 import TEST

CASES = 200


@pytest.fixture
def database(tmp_path):
    """A folder with a database, and its file's bytes."""
    return tmp_path / "db", lmdb_damage.make(tmp_path / "db")


def test_undamaged(database):
    assert lmdb_damage.read(database[0]) == ""


def test_damaged(database):
    path, whole = database
    random = np.random.default_rng(1)
    errors = 0
    for _ in range(CASES):
        (path / "data.mdb").write_bytes(lmdb_damage.damaged(whole, random))
        start = time.perf_counter()
        message = lmdb_damage.read(path)
        assert time.perf_counter() - start < 2
        assert "\n" not in message
        assert not message or f"'{path}'" in message
        errors += bool(message)
    assert errors > CASES // 3  # free pages and pixels may be damaged without harm


def test_little_memory_is_taken(database):
    """Whatever sizes a damaged file speaks of."""
    path, whole = database
    random = np.random.default_rng(2)
    tracemalloc.start()
    for _ in range(12):
        (path / "data.mdb").write_bytes(lmdb_damage.damaged(whole, random))
        lmdb_damage.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20 + 10 * len(whole)


@pytest.mark.parametrize("page", range(53))
def test_each_page_destroyed(caffe_lmdb, page):
    """LMDB's own library follows the offsets of the second kind out of its memory map: SIGBUS, SIGABRT."""
    file = caffe_lmdb / "data.mdb"
    whole = file.read_bytes()
    for damage in (b"\0" * 4096, b"\xff" * 8):
        start = 4096 * page + (16 if len(damage) == 8 else 0)
        file.write_bytes(whole[:start] + damage + whole[start + len(damage) :])
        message = ""
        try:
            assert len(LmdbReader(caffe_lmdb).read(200)) == 200
        except DataError as error:
            message = str(error)
        assert message.startswith(f"cannot read LMDB '{caffe_lmdb}': ") or (not message and page > 1)


def test_a_tree_that_runs_in_circles(caffe_lmdb):
    """A branch page that names itself, or one leaf page again and again."""
    file = caffe_lmdb / "data.mdb"
    whole = file.read_bytes()
    root = int.from_bytes(whole[4096 + 16 + 24 + 48 + 40 :][:8], "little")
    page = whole[4096 * root :][:4096]
    offsets = np.frombuffer(page, "<u2", (int.from_bytes(page[12:14], "little") - 16) // 2, 16)
    for child in (root, 2):
        circle = bytearray(page)
        for offset in offsets.tolist():
            circle[offset : offset + 4] = child.to_bytes(4, "little")
        file.write_bytes(whole[: 4096 * root] + circle + whole[4096 * (root + 1) :])
        message = (
            f"^cannot read LMDB '{caffe_lmdb}': page {child} of data.mdb is damaged; copy or make it again$"
        )
        with pytest.raises(DataError, match=message):
            LmdbReader(caffe_lmdb).read(200)


def test_missing_records_are_noticed(caffe_lmdb):
    """A page that has lost its last record looks well; the number of all records does not."""
    file = caffe_lmdb / "data.mdb"
    whole = bytearray(file.read_bytes())
    whole[2 * 4096 + 12] -= 2
    file.write_bytes(whole)
    message = "data.mdb is damaged, 199 of 200 records were found; copy or make it again"
    with pytest.raises(DataError, match=f"^cannot read LMDB '{caffe_lmdb}': {message}$"):
        LmdbReader(caffe_lmdb).read(199)


@pytest.mark.parametrize("page", [0, 1])
def test_an_earlier_transaction_is_not_taken_for_the_last(database, page):
    """Its tree is whole, but lacks what came later; LMDB's own library reads it."""
    path, whole = database
    data = bytearray(whole)
    place = 4096 * page + 16 + 128  # of the number of the transaction that wrote this page
    assert data[place] == (2, 3)[page]
    data[place] = (4, 1)[page]  # of transactions 2 and 3, the second is the last
    (path / "data.mdb").write_bytes(data)
    with lmdb.open(str(path), readonly=True, lock=False) as environment:
        assert environment.stat()["entries"] == 100
    message = "pages 0 and 1 of data.mdb contradict each other; copy or make it again"
    with pytest.raises(DataError, match=f"^cannot read LMDB '{path}': {message}$"):
        LmdbReader(path)


CUT = "data.mdb is cut off in page 10; copy or make it again"
ZERO = "page 10 of data.mdb is damaged; copy or make it again"
EMPTY = "data.mdb is not an LMDB file"


def cut_off(file):
    file.truncate(10 * 4096)


def zeroed(file):
    file.seek(10 * 4096)
    file.write(bytes(4096 * 43))


def all_zeroed(file):
    file.write(bytes(4096 * 53))


def emptied(file):
    file.truncate(0)


DAMAGES = [
    (cut_off, CUT),
    (zeroed, ZERO),
    (all_zeroed, EMPTY),
    (emptied, "data.mdb is cut off; copy or make it again"),
]


@pytest.mark.parametrize(("damage", "why"), DAMAGES)
def test_damaged_while_it_is_read(caffe_lmdb, monkeypatch, damage, why):
    monkeypatch.setattr("pycaffe_lite.data.lmdb_reader._PAGES_AT_ONCE", 2)
    reader = LmdbReader(caffe_lmdb)
    reader.read(10)
    with open(caffe_lmdb / "data.mdb", "r+b") as file:
        damage(file)
    for _ in range(2):
        with pytest.raises(DataError) as raised:
            reader.read(200)
        assert str(raised.value) == f"cannot read LMDB '{caffe_lmdb}': {why}"


@pytest.mark.parametrize(("damage", "why"), DAMAGES)
def test_damaged_while_a_net_reads_it(caffe_lmdb, tmp_path, monkeypatch, damage, why):
    monkeypatch.setattr("pycaffe_lite.data.lmdb_reader._PAGES_AT_ONCE", 2)
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "d" type: "Data" top: "x" top: "y" '
        f'data_param {{ source: "{caffe_lmdb}" batch_size: 10 backend: LMDB prefetch: 1 }} }}'
    )
    net = Net(str(tmp_path / "net.prototxt"), TEST)
    net.forward()
    with open(caffe_lmdb / "data.mdb", "r+b") as file:
        damage(file)

    def train():
        for _ in range(20):
            net.forward()

    with pytest.raises(DataError, match=rf"layer 'd' \(Data\): cannot read LMDB '{caffe_lmdb}': {why}$"):
        train()
