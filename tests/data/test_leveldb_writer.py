"""What is written as a LevelDB: as Caffe's tools write it, and for LevelDB itself where that is there."""

import re

import pytest
from paths import FIXTURES

from pycaffe_lite.data.leveldb_reader import LevelDbReader
from pycaffe_lite.data.leveldb_writer import LevelDbWriter, write_leveldb
from pycaffe_lite.errors import DataError

# About the ends of the log's blocks, and beyond several.
SIZES = (0, 1, 100, 32_700, 32_717, 32_718, 32_719, 32_720, 32_721, 32_725, 100_000)


def records(count, size=100):
    return [(b"%08d" % i, bytes([i % 251]) * size) for i in range(count)]


def content(path):
    reader = LevelDbReader(path)
    return reader.read(reader.count())


def test_the_files_are_those_of_caffe(tmp_path):
    theirs = FIXTURES / "data_layers" / "db" / "converted_leveldb"
    assert write_leveldb(tmp_path / "db", content(theirs)) == 6
    ours = {file.name: file.read_bytes() for file in (tmp_path / "db").iterdir()}
    assert ours == {file.name: file.read_bytes() for file in theirs.iterdir()}


@pytest.mark.parametrize("size", SIZES)
def test_what_is_written_is_there(tmp_path, size):
    wanted = records(3, size)
    write_leveldb(tmp_path / "db", wanted)
    assert content(tmp_path / "db") == wanted


def test_leveldb_reads_it(tmp_path):
    plyvel = pytest.importorskip("plyvel")
    wanted = [(b"%08d" % i, b"x" * SIZES[i % len(SIZES)]) for i in range(2500)]
    assert write_leveldb(tmp_path / "db", iter(wanted)) == 2500
    database = plyvel.DB(str(tmp_path / "db"))
    assert list(database) == wanted
    database.close()
    assert content(tmp_path / "db") == wanted  # of tables by now


def test_it_goes_on_behind_the_last_whole_batch(tmp_path):
    wanted = records(2500, 500)
    writer = LevelDbWriter(tmp_path)
    for key, value in wanted[:2300]:
        writer.put(key, value)
    assert (writer.records, writer.last_key) == (2000, b"00001999")
    writer.close()
    with open(tmp_path / "000003.log", "ab") as file:
        file.write(b"\x12\x34 what a killed process was writing")
    writer = LevelDbWriter(tmp_path)
    assert (writer.records, writer.last_key) == (2000, b"00001999")
    for key, value in wanted[2000:]:
        writer.put(key, value)
    writer.commit()
    writer.close()
    assert content(tmp_path) == wanted


def test_other_things_are_not_replaced(tmp_path):
    path = tmp_path / "db"
    path.mkdir()
    (path / "mine").touch()
    message = f"cannot write '{path}': something else than a LevelDB has this name; remove or rename it"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        write_leveldb(path, records(1))


def test_a_full_disk(tmp_path, limited):
    with pytest.raises(DataError) as raised:
        write_leveldb(tmp_path / "db", records(2000))
    assert str(raised.value) == f"cannot write '{tmp_path / 'db'}': File too large"
    assert not list(tmp_path.iterdir())
