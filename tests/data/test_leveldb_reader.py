"""LevelDBs as Caffe's tools, LevelDB itself and misfortune leave them."""

import logging
import multiprocessing
import os
import re
import shutil
from pathlib import Path

import leveldb_files as files
import pytest
from paths import FIXTURES

from pycaffe_lite.data.leveldb_reader import LevelDbReader
from pycaffe_lite.data.lmdb_reader import LmdbReader
from pycaffe_lite.errors import DataError

DB = FIXTURES / "data_layers" / "db"


def everything(path):
    reader = LevelDbReader(path)
    return reader.read(reader.count())


@pytest.fixture
def copy(tmp_path):
    """copy(name): a copy of one of Caffe's databases."""
    return lambda name: Path(shutil.copytree(DB / name, tmp_path / name))


def refuses(path, message):
    with pytest.raises(DataError) as raised:
        everything(path)
    assert str(raised.value) == message


@pytest.mark.parametrize("state", ["log", "plain", "snappy", "tables"])
def test_each_state_of_a_database_holds_the_same(state):
    lmdb = LmdbReader(DB / "raw_lmdb")
    assert everything(DB / f"raw_leveldb_{state}") == lmdb.read(lmdb.count())


def test_many_blocks_and_tables():
    assert [key for key, _ in everything(DB / "deep_leveldb")] == [b"%05d" % i for i in range(600)]


@pytest.mark.parametrize("name", ["deep_leveldb", "raw_leveldb_restart", "large_values_leveldb_log"])
def test_seeking(name):
    records = everything(DB / name)
    reader = LevelDbReader(DB / name)
    for i in range(0, len(records), 7):
        reader.seek(records[i][0])
        assert reader.key == records[i][0]
        assert reader.peek() == records[i]
        assert reader.read(3) == [records[j % len(records)] for j in (i, i + 1, i + 2)]


def test_seeking_what_is_not_there():
    reader = LevelDbReader(DB / "raw_leveldb_tables")
    reader.read(2)
    for key in (b"0000000", b"zz"):
        message = f"LevelDB '{reader.path}' has no record with the key '{key.decode()}'"
        with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
            reader.seek(key)
        assert reader.key == b"00000002"


def test_it_starts_again(caplog):
    with caplog.at_level(logging.INFO):
        reader = LevelDbReader(DB / "raw_leveldb_log")
        records = reader.read(8)
    assert records[7] == records[0]
    assert caplog.messages == [
        f"Opened leveldb {reader.path}",
        "Restarting data prefetching from start.",
    ]


def test_the_newest_write_counts(tmp_path):
    """In the log, in young tables that overlap, in an old one; tables and logs that are over do not."""
    sizes = [
        files.write_table(
            tmp_path / "000002.ldb", [(files.internal(b"%d" % i, i + 1), b"old") for i in range(8)]
        ),
        files.write_table(
            tmp_path / "000003.sst",
            [(files.internal(b"2", 21), b"young"), (files.internal(b"3", 22), b"young")],
        ),
        files.write_table(
            tmp_path / "000004.ldb",
            [(files.internal(b"3", 31), b"younger"), (files.internal(b"4", 32, False), b"")],
        ),
    ]
    files.write_table(tmp_path / "000001.ldb", [(files.internal(b"9", 99), b"gone")])
    files.write_manifest(
        tmp_path,
        files.new_table(2, 1, 1, b"9", b"9") + files.new_table(2, 2, sizes[0], b"0", b"7"),
        files.deleted_table(2, 1) + files.new_table(0, 3, sizes[1], b"2", b"3"),
        files.new_table(0, 4, sizes[2], b"3", b"4") + files.log_numbers(7, previous=5),
    )  # fmt: skip
    files.write_log(
        tmp_path / "000005.log", files.batch(41, files.put(b"5", b"log"), files.put(b"6", b"log"))
    )
    files.write_log(tmp_path / "000006.log", files.batch(51, files.put(b"0", b"gone")))
    files.write_log(tmp_path / "000007.log", files.batch(61, files.put(b"6", b"later"), files.delete(b"7")))
    assert everything(tmp_path) == [
        (b"0", b"old"),
        (b"1", b"old"),
        (b"2", b"young"),
        (b"3", b"younger"),
        (b"5", b"log"),
        (b"6", b"later"),
    ]


def test_reading_changes_nothing_in_a_folder_that_cannot_be_written(copy):
    path = copy("raw_leveldb_tables")
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    os.chmod(path, 0o555)
    try:
        assert len(everything(path)) == 7
        assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    finally:
        os.chmod(path, 0o755)


def test_two_processes_read_at_once():
    reader = LevelDbReader(DB / "deep_leveldb")
    first = reader.read(10)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(everything, [DB / "deep_leveldb"])[:10] == first
    assert reader.read(1)[0][0] == b"00010"


# --------------------------------------------------------------------------------------------------- damage


def test_every_changed_byte_is_noticed(copy, monkeypatch):
    """Of the files that count; where a byte may be anything, the records stay what they were."""
    for name in ("raw_leveldb_log", "raw_leveldb_restart"):
        path = copy(name)
        wanted = everything(path)
        for file in path.iterdir():
            content = file.read_bytes()
            for place in range(0, len(content), max(1, len(content) // 40)):
                file.write_bytes(content[:place] + bytes([content[place] ^ 0x11]) + content[place + 1 :])
                try:
                    assert everything(path) == wanted
                except DataError as error:
                    assert str(error).startswith(f"cannot read LevelDB '{path}': ")  # noqa: PT017
            file.write_bytes(content)


@pytest.mark.parametrize("name", ["raw_leveldb_log", "raw_leveldb_snappy"])
def test_no_file_can_be_cut_off_unnoticed(copy, name):
    path = copy(name)
    wanted = everything(path)
    for file in path.iterdir():
        content = file.read_bytes()
        for size in range(1, len(content), max(1, len(content) // 20)):
            file.write_bytes(content[:size])
            try:
                found = everything(path)
            except DataError as error:
                assert str(error).startswith(f"cannot read LevelDB '{path}': ")  # noqa: PT017
            else:  # the log, between two records: nothing tells how many there should be
                assert file.suffix == ".log"
                assert found == wanted[: len(found)]
        file.write_bytes(content)


def cut(file, count):
    content = file.read_bytes()
    file.write_bytes(content[:-count])


def test_a_log_that_is_cut_off(copy):
    path = copy("converted_leveldb")
    cut(path / "000003.log", 10)
    refuses(
        path,
        f"cannot read LevelDB '{path}': 000003.log ends in the middle of a record: cut off, or its writer "
        "was "
        "stopped; copy or make it again",
    )


def test_a_table_that_is_cut_off(copy):
    path = copy("raw_leveldb_plain")
    size = (path / "000005.ldb").stat().st_size
    cut(path / "000005.ldb", 10)
    refuses(
        path,
        f"cannot read LevelDB '{path}': 000005.ldb has {size - 10} bytes, not {size}; copy the database or "
        "make "
        "it again",
    )


def test_a_table_that_is_missing(copy):
    path = copy("raw_leveldb_plain")
    (path / "000005.ldb").unlink()
    refuses(path, f"cannot read LevelDB '{path}': its table 000005.ldb is missing; copy or make it again")


def test_a_damaged_block(copy):
    path = copy("raw_leveldb_plain")
    content = bytearray((path / "000005.ldb").read_bytes())
    content[50] ^= 1
    (path / "000005.ldb").write_bytes(content)
    refuses(path, f"cannot read LevelDB '{path}': 000005.ldb is damaged at byte 0; copy or make it again")


def test_a_missing_manifest(copy):
    path = copy("raw_leveldb_log")
    (path / "MANIFEST-000002").unlink()
    refuses(path, f"cannot read LevelDB '{path}': MANIFEST-000002: No such file or directory")


def test_an_empty_current(tmp_path):
    (tmp_path / "CURRENT").touch()
    refuses(tmp_path, f"cannot read LevelDB '{tmp_path}': its file CURRENT is damaged; copy or make it again")


def test_a_database_of_rocksdb(tmp_path):
    files.write_manifest(tmp_path, b"\xc8\1\1\0")  # a column family
    refuses(
        tmp_path,
        f"cannot read LevelDB '{tmp_path}': MANIFEST-000001 holds what LevelDB does not write (a field 200): "
        "it "
        "is damaged, or RocksDB's",
    )


def test_another_order_of_keys(tmp_path):
    files.write_manifest(tmp_path, b"\1" + files.text(b"idb_cmp1"))
    refuses(
        tmp_path,
        f"cannot read LevelDB '{tmp_path}': its keys are in an order of their own, idb_cmp1; Caffe's are in "
        "that "
        "of their bytes",
    )


def test_another_packing(tmp_path):
    size = files.write_table(tmp_path / "000002.ldb", [(files.internal(b"a", 1), b"x")], packing=2)
    files.write_manifest(tmp_path, files.new_table(1, 2, size, b"a", b"a") + files.log_numbers(3))
    refuses(
        tmp_path,
        f"cannot read LevelDB '{tmp_path}': 000002.ldb is packed in the way 2, and only plain blocks and "
        "Snappy's "
        "are read; convert it to an LMDB",
    )


def test_no_records(tmp_path):
    files.write_manifest(tmp_path, files.log_numbers(3))
    files.write_log(
        tmp_path / "000003.log", files.batch(1, files.put(b"a", b"x")), files.batch(2, files.delete(b"a"))
    )
    refuses(tmp_path, f"LevelDB '{tmp_path}' holds no records: fill it, or name another source")


def test_a_batch_that_says_otherwise(tmp_path):
    files.write_manifest(tmp_path, files.log_numbers(3))
    files.write_log(tmp_path / "000003.log", files.batch(1, files.put(b"a", b"x")) + b"more")
    refuses(
        tmp_path,
        f"cannot read LevelDB '{tmp_path}': 000003.log is damaged before byte 28; copy or make it again",
    )
