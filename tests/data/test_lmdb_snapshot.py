"""Databases of every shape, as LMDB's own library reads them, and such as other processes write to."""

import shutil
import struct
from itertools import islice

import lmdb
import numpy as np
import pytest

from pycaffe_lite.data.lmdb_pages import LmdbError
from pycaffe_lite.data.lmdb_reader import LmdbReader
from pycaffe_lite.data.lmdb_snapshot import Snapshot
from pycaffe_lite.errors import DataError


def records_of(path):
    """All records, as LMDB's library reads them."""
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return list(transaction.cursor())


def write(path, rounds, random, *, sizes, keys=1000, append=False, **options):
    """Some transactions that put, change and remove records."""
    with lmdb.open(str(path), map_size=1 << 27, **options) as environment:
        for i in range(rounds):
            with environment.begin(write=True) as transaction:
                for j in range(200):
                    number = 200 * i + j if append else int(random.integers(keys))
                    key = b"%07d" % number + b"x" * int(number % 5)
                    if append or random.random() < 0.7:
                        size = int(random.integers(*sizes))
                        transaction.put(key, random.bytes(size))
                    else:
                        transaction.delete(key)


SHAPES = {
    "one page": {"rounds": 1, "keys": 30, "sizes": (0, 20)},
    "small values": {"rounds": 20, "sizes": (0, 60), "keys": 20_000},
    "a few in a page": {"rounds": 10, "sizes": (700, 1300)},
    "long values": {"rounds": 5, "sizes": (2500, 30_000)},
    "short and long values": {"rounds": 10, "sizes": (0, 4500)},
    "in order": {"rounds": 20, "sizes": (700, 800), "append": True},
    "through a map": {"rounds": 10, "sizes": (0, 4500), "writemap": True, "sync": False},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_databases_of_all_shapes(tmp_path, shape):
    random = np.random.default_rng(0)
    write(tmp_path, random=random, **shape)
    wanted = records_of(tmp_path)
    reader = LmdbReader(tmp_path)
    some = int(random.integers(1, len(wanted)))
    assert reader.read(some) + reader.read(len(wanted) - some) == wanted
    assert reader.read(3) == wanted[:3]
    for i in random.integers(len(wanted), size=20).tolist():
        reader.seek(wanted[i][0])
        assert reader.read(5) == list(islice(wanted * 2, i, i + 5))
    for missing in (b"", b"0", b"0000100y", b"zzz"):
        with pytest.raises(DataError, match="has no record with the key"):
            reader.seek(missing)
    place = reader.key
    assert reader.peek() == (place, dict(wanted)[place])


def test_a_compacted_copy(tmp_path):
    write(tmp_path / "db", 10, np.random.default_rng(0), sizes=(0, 4500))
    (tmp_path / "copy").mkdir()
    with lmdb.open(str(tmp_path / "db"), readonly=True) as environment:
        environment.copy(str(tmp_path / "copy"), compact=True)
    wanted = records_of(tmp_path / "db")
    assert LmdbReader(tmp_path / "copy").read(len(wanted)) == wanted


def fails(path, why):
    with pytest.raises(DataError) as raised:
        LmdbReader(path)
    assert str(raised.value) == f"cannot read LMDB '{path}': {why}"


def test_databases_with_names(tmp_path):
    with lmdb.open(str(tmp_path), max_dbs=2) as environment:
        environment.open_db(b"train")
    fails(tmp_path, "'train' in it is a database with a name, and Caffe reads the one without")


def test_other_versions_and_machines(caffe_lmdb):
    file = caffe_lmdb / "data.mdb"
    whole = file.read_bytes()
    file.write_bytes(whole[:20] + b"\x02" + whole[21:])
    fails(caffe_lmdb, "its format has version 2, only version 1 is read")
    file.write_bytes(whole[:16] + whole[19:15:-1] + whole[20:])
    fails(caffe_lmdb, "a machine of the other byte order made it; make it again on this one")


# ------------------------------------------------------------------------------- files of 32-bit machines


def meta_of_32_bits(page, transaction, **fields):
    at = {"flags": 0, "depth": 0, "entries": 0, "root": 2**32 - 1, "last": 1} | fields
    head = struct.pack("<IHHHH", page, 0, 8, 0, 0)
    free = struct.pack("<IHH5I", 4096, 0, 0, 0, 0, 0, 0, 2**32 - 1)
    main = struct.pack("<IHH5I", 0, at["flags"], at["depth"], 0, 0, 0, at["entries"], at["root"])
    body = struct.pack("<IIII", 0xBEEFC0DE, 1, 0, 1 << 20) + free + main
    return (head + body + struct.pack("<II", at["last"], transaction)).ljust(4096, b"\0")


def page_of_32_bits(number, flags, nodes):
    lower, upper = 12 + 2 * len(nodes), 4096
    page, offsets = bytearray(4096), []
    for low, node_flags, key, value in nodes:
        node = struct.pack("<IHH", low, node_flags, len(key)) + key + value
        upper -= len(node) + len(node) % 2
        page[upper : upper + len(node)] = node
        offsets.append(upper)
    page[:lower] = struct.pack("<IHHHH", number, 0, flags, lower, upper) + struct.pack(
        f"<{len(nodes)}H", *offsets
    )
    return bytes(page)


def test_files_of_32_bit_machines(tmp_path):
    long = bytes(range(256)) * 20
    pages = [
        meta_of_32_bits(0, 0),
        meta_of_32_bits(1, 1, depth=2, entries=3, root=2, last=6),
        page_of_32_bits(2, 1, [(3, 0, b"", b""), (4, 0, b"c", b"")]),
        page_of_32_bits(3, 2, [(3, 0, b"a", b"one"), (len(long), 1, b"b", struct.pack("<I", 5))]),
        page_of_32_bits(4, 2, [(5, 0, b"c", b"three")]),
        (struct.pack("<IHHI", 5, 0, 4, 2) + long).ljust(8192, b"\0"),
    ]
    (tmp_path / "data.mdb").write_bytes(b"".join(pages))
    wanted = [(b"a", b"one"), (b"b", long), (b"c", b"three")]
    assert LmdbReader(tmp_path).read(4) == [*wanted, wanted[0]]


def one_page_of_32_bits(path, flags, keys):
    pages = [
        meta_of_32_bits(0, 0),
        meta_of_32_bits(1, 1, flags=flags, depth=1, entries=len(keys), root=2, last=2),
        page_of_32_bits(2, 2, [(1, 0, key, b"x") for key in keys]),
    ]
    (path / "data.mdb").write_bytes(b"".join(pages))


@pytest.mark.parametrize(
    ("flag", "keys"),
    [(2, [b"za", b"b", b"ab", b"bb"]), (8, [b"\2\0\0\0", b"\0\1\0\0", b"\1\1\0\0"])],
    ids=["MDB_REVERSEKEY", "MDB_INTEGERKEY"],
)
def test_keys_in_other_orders(tmp_path, flag, keys):
    one_page_of_32_bits(tmp_path, flag, keys)
    reader = LmdbReader(tmp_path)
    assert [key for key, _ in reader.read(len(keys))] == keys
    for key in keys:
        reader.seek(key)
        assert reader.key == key
    one_page_of_32_bits(tmp_path, 0, keys)
    fails(tmp_path, "page 2 of data.mdb is damaged; copy or make it again")


def test_several_values_for_a_key(tmp_path):
    one_page_of_32_bits(tmp_path, 4, [b"a"])
    fails(tmp_path, "it has several values for a key (MDB_DUPSORT), which Caffe's databases never have")


# -------------------------------------------------------------------------------- writers at the same time


@pytest.fixture
def thousand(tmp_path):
    """An open database of 1000 records, some of them long: each value is its key, many times over."""
    environment = lmdb.open(str(tmp_path / "db"), map_size=1 << 27, sync=False)
    with environment.begin(write=True) as transaction:
        for i in range(1000):
            transaction.put(b"%04d" % i, b"%04d" % i * (2000 if i % 50 == 0 else 50))
    with environment:
        yield environment


def change_all(environment, letter=b""):
    """Makes all values other ones in several transactions, so that pages are used again."""
    for start in range(0, 1000, 100):
        with environment.begin(write=True) as transaction:
            for i in range(start, start + 100):
                transaction.put(b"%04d" % i, letter + b"%04d" % i * (2000 if i % 70 == 0 else 60))


def test_changes_are_seen_or_not_but_nothing_else(thousand, tmp_path):
    reader = LmdbReader(tmp_path / "db")
    keys = []
    for letter in (b"a", b"b", b"c", b"d"):
        records = reader.read(250)
        keys += [key for key, _ in records]
        for key, value in records:
            assert value.lstrip(b"abcd").replace(key, b"") == b""
        change_all(thousand, letter)
    assert keys == [b"%04d" % i for i in range(1000)]
    values = {value[:1] for _, value in reader.read(1000)}
    assert values <= {b"c", b"d"}


def test_one_transaction_more_changes_nothing(thousand, tmp_path):
    reader = LmdbReader(tmp_path / "db")
    before = reader.read(1000)
    with thousand.begin(write=True) as transaction:
        for i in range(1000):
            transaction.delete(b"%04d" % i)
    assert reader.read(1000) == before


def test_the_record_that_comes_next_is_removed(thousand, tmp_path):
    reader = LmdbReader(tmp_path / "db")
    reader.read(50)
    assert reader.key == b"0050"
    for i in range(3):
        with thousand.begin(write=True) as transaction:
            transaction.put(b"more", b"%d" % i)
            for j in range(50, 990):
                transaction.delete(b"%04d" % j)
    # The value of 0050 is a long one, which is read when its turn comes.
    assert [key for key, _ in reader.read(12)] == [*(b"%04d" % i for i in range(990, 1000)), b"more", b"0000"]


def test_all_records_are_removed(thousand, tmp_path):
    reader = LmdbReader(tmp_path / "db")
    for _ in range(3):
        with thousand.begin(write=True) as transaction:
            transaction.drop(thousand.open_db(), delete=False)
    with pytest.raises(DataError, match="holds no records"):
        reader.read(1001)


def test_a_snapshot_knows_whether_it_stands(thousand, tmp_path):
    with open(tmp_path / "db" / "data.mdb", "rb") as file:
        snapshot = Snapshot(file.fileno())
        for stands in (True, False):
            assert snapshot.stands()
            with thousand.begin(write=True) as transaction:
                transaction.put(b"more", b"")
            assert snapshot.stands() is stands


def test_a_writer_too_fast_to_follow(thousand, tmp_path, monkeypatch):
    reader = LmdbReader(tmp_path / "db")
    monkeypatch.setattr(Snapshot, "stands", lambda self: False)
    message = "other processes write to it faster than it can be read"
    with pytest.raises(DataError, match=f"^cannot read LMDB '{tmp_path}/db': {message}$"):
        reader.read(1000)


def test_the_folder_is_replaced(thousand, tmp_path):
    """By another one with its name: the open file is the old one still."""
    reader = LmdbReader(tmp_path / "db")
    shutil.rmtree(tmp_path / "db")
    (tmp_path / "db").mkdir()
    assert len(reader.read(1000)) == 1000


def test_errors_of_the_disk(thousand, tmp_path, monkeypatch):
    reader = LmdbReader(tmp_path / "db")

    def broken(*args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.pread", broken)
    with pytest.raises(DataError, match=f"^cannot read LMDB '{tmp_path}/db': Input/output error$"):
        reader.read(1000)


def test_depths_beyond_reason(caffe_lmdb):
    whole = bytearray((caffe_lmdb / "data.mdb").read_bytes())
    struct.pack_into("<H", whole, 4096 + 16 + 24 + 48 + 6, 60_000)
    (caffe_lmdb / "data.mdb").write_bytes(whole)
    with (
        open(caffe_lmdb / "data.mdb", "rb") as file,
        pytest.raises(LmdbError, match=r"^page 1 of data.mdb is damaged"),
    ):
        Snapshot(file.fileno())


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("transactions", range(4))
def test_copies_of_young_databases(tmp_path, transactions, compact):
    """Their two meta pages are the first ones, or belong to transactions that follow each other."""
    with lmdb.open(str(tmp_path / "db")) as environment:
        for i in range(transactions):
            with environment.begin(write=True) as transaction:
                transaction.put(b"%d" % i, b"")
        (tmp_path / "copy").mkdir()
        environment.copy(str(tmp_path / "copy"), compact=compact)
    for name in ("db", "copy"):
        with open(tmp_path / name / "data.mdb", "rb") as file:
            assert Snapshot(file.fileno()).entries == transactions


def test_meta_pages_that_do_not_follow_each_other(caffe_lmdb):
    """The older one would be taken for the later."""
    whole = bytearray((caffe_lmdb / "data.mdb").read_bytes())
    whole[16 + 24 + 96 + 8 + 5] = 1  # of page 0's transaction
    (caffe_lmdb / "data.mdb").write_bytes(whole)
    fails(caffe_lmdb, "pages 0 and 1 of data.mdb contradict each other; copy or make it again")


def test_a_long_value_in_a_page_that_cannot_be(tmp_path):
    """Such an offset does not even fit the system call."""
    write(tmp_path, 1, np.random.default_rng(0), sizes=(5000, 6000), keys=20)
    whole = bytearray((tmp_path / "data.mdb").read_bytes())
    node = struct.unpack_from("<H", whole, 4096 * 2 + 16)[0] + 4096 * 2
    start = node + 8 + int.from_bytes(whole[node + 6 : node + 8], "little")
    whole[start : start + 8] = b"\xff" * 8
    (tmp_path / "data.mdb").write_bytes(whole)
    fails(tmp_path, "page 2 of data.mdb is damaged; copy or make it again")
