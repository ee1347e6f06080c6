import pytest
from leveldb_files import block, internal, write_table

from pycaffe_lite.data.leveldb_log import LevelDbError
from pycaffe_lite.data.leveldb_tables import Entry, Table, _entries
from pycaffe_lite.formats.wire import WireError, varint

KEYS = [b"a", b"b", b"bb", b"d", b"e"]


@pytest.fixture
def path(tmp_path):
    entries = [(internal(key, 10 + i), b"value of " + key) for i, key in enumerate(KEYS)]
    entries[3] = internal(b"d", 13, is_value=False), b""
    write_table(tmp_path / "000005.ldb", entries)
    return tmp_path / "000005.ldb"


def test_all_entries(path):
    entries = list(Table(path).entries(b""))
    assert entries[0] == Entry(b"a", -(10 << 8 | 1), b"value of a")
    assert [entry.key for entry in entries] == KEYS
    assert entries[3] == Entry(b"d", -(13 << 8), None)  # a deletion


@pytest.mark.parametrize(
    ("key", "first"),
    [(b"", 0), (b"a", 0), (b"aa", 1), (b"b", 1), (b"ba", 2), (b"bb", 2), (b"c", 3), (b"e", 4), (b"f", 5)],
)
def test_entries_from_a_key_on(path, key, first):
    assert [entry.key for entry in Table(path).entries(key)] == KEYS[first:]


def test_keys_share_their_beginnings():
    first, second = internal(b"abcd", 3), internal(b"abx", 2)
    content = varint(0) + varint(len(first)) + varint(1) + first + b"1"
    content += varint(2) + varint(len(second) - 2) + varint(200) + second[2:] + b"2" * 200
    content += bytes(4) + (1).to_bytes(4, "little")
    assert [(key, value) for key, _, value in _entries(content)] == [(b"abcd", b"1"), (b"abx", b"2" * 200)]


@pytest.mark.parametrize(
    "entry",
    [
        varint(1) + varint(9) + varint(0) + internal(b"a", 1),  # it shares more than there is
        varint(0) + varint(3) + varint(0) + b"abc",  # no room for the number of the write
        varint(0) + varint(9) + varint(50) + internal(b"a", 1),  # the value runs past the end
        varint(0) + varint(9),
    ],
)
def test_entries_that_cannot_be(entry):
    with pytest.raises(WireError):
        list(_entries(entry + bytes(4) + (1).to_bytes(4, "little")))


def test_a_changed_byte_is_noticed_or_not_needed(path):
    """The block about filters is not read."""
    whole, right = path.read_bytes(), list(Table(path).entries(b""))
    unnoticed = 0
    for place in range(len(whole) - 48):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert list(Table(path).entries(b"")) == right
            unnoticed += 1
        except LevelDbError as error:
            said = str(error)
            assert said.startswith("000005.ldb is damaged at byte ")
    assert unnoticed == len(block([]))


@pytest.mark.parametrize("size", [0, 30, -1])
def test_a_table_that_is_cut_off(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(LevelDbError, match=r"^000005.ldb is damaged or cut off; copy or make it again$"):
        Table(path)


def test_another_packing(tmp_path):
    write_table(tmp_path / "x.ldb", [(internal(b"a", 1), b"v")], packing=4)
    with pytest.raises(
        LevelDbError, match=r"x.ldb is packed in the way 4, and only plain blocks and Snappy's"
    ):
        list(Table(tmp_path / "x.ldb").entries(b""))


def test_a_missing_table(tmp_path):
    with pytest.raises(FileNotFoundError):
        Table(tmp_path / "none.ldb")
