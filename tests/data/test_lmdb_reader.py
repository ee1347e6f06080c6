import gc
import logging
import os
import threading

import lmdb
import pytest

from pycaffe_lite.data.lmdb_pages import key_text
from pycaffe_lite.data.lmdb_reader import LmdbReader
from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.errors import DataError

RECORDS = [(b"%08d" % i, b"value %d" % i) for i in range(7)]


@pytest.fixture
def seven(tmp_path):
    write_lmdb(tmp_path / "seven_lmdb", RECORDS)
    return tmp_path / "seven_lmdb"


def test_records_come_in_order_of_keys_and_again(seven, caplog):
    reader = LmdbReader(seven)
    with caplog.at_level(logging.INFO):
        assert reader.read(5) == RECORDS[:5]
        assert not caplog.messages
        assert reader.read(2) == RECORDS[5:]
        assert caplog.messages == ["Restarting data prefetching from start."]
        assert reader.read(3) == RECORDS[:3]
        assert reader.read(20) == (RECORDS * 4)[3:23]
    assert caplog.messages == ["Restarting data prefetching from start."] * 4


def test_keys_order_as_bytes(tmp_path):
    environment = lmdb.open(str(tmp_path / "db"))
    with environment.begin(write=True) as transaction:
        for key in (b"9", b"10", b"a", b"A"):
            transaction.put(key, key)
    environment.close()
    reader = LmdbReader(tmp_path / "db")
    assert [key for key, _ in reader.read(4)] == [b"10", b"9", b"A", b"a"]


def test_key_tells_the_place_and_seek_finds_it(seven):
    reader = LmdbReader(seven)
    assert reader.key == b"00000000"
    reader.read(6)
    assert reader.key == b"00000006"
    reader.read(1)
    assert reader.key == b"00000000"
    reader.seek(b"00000004")
    assert reader.peek() == RECORDS[4]
    assert reader.read(4) == [*RECORDS[4:], RECORDS[0]]


def test_seek_needs_the_key(seven):
    with pytest.raises(DataError, match=f"^LMDB '{seven}' has no record with the key '00000007'$"):
        LmdbReader(seven).seek(b"00000007")


def test_several_readers_share_a_database(seven, tmp_path):
    first = LmdbReader(seven)
    first.read(3)
    (tmp_path / "link").symlink_to(seven)
    second = LmdbReader(tmp_path / "link")
    assert second.read(1) == RECORDS[:1]
    del first
    gc.collect()
    assert second.read(2) == RECORDS[1:3]


def descriptors_of(path):
    """How often this process has the database open."""
    descriptors = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    return descriptors.count(os.path.realpath(path / "data.mdb"))


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="there is no /proc/self/fd")


@needs_proc
def test_the_file_closes_with_its_reader(seven):
    readers = [LmdbReader(seven), LmdbReader(seven)]
    assert descriptors_of(seven) == 2
    readers.pop()
    gc.collect()
    assert descriptors_of(seven) == 1
    readers.pop()
    gc.collect()
    assert descriptors_of(seven) == 0


@needs_proc
def test_opening_and_dropping_in_threads(seven):
    failures = []

    def work():
        try:
            for _ in range(50):
                reader = LmdbReader(seven)
                assert reader.read(1) == RECORDS[:1]
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert descriptors_of(seven) == 0


def test_the_program_may_have_it_open_itself(seven):
    """Which LMDB's own library allows only once in a process."""
    with lmdb.open(str(seven)):
        assert LmdbReader(seven).read(7) == RECORDS


def test_databases_of_caffe_are_read(caffe_lmdb):
    reader = LmdbReader(caffe_lmdb)
    assert [key_text(key) for key, _ in reader.read(200)] == [f"{i:08d}" for i in range(200)]


def test_nothing_is_written(seven):
    """So a folder will do that is read-only."""
    LmdbReader(seven).read(8)
    assert os.listdir(seven) == ["data.mdb"]


def test_an_empty_database(tmp_path):
    write_lmdb(tmp_path / "none", [])
    message = f"LMDB '{tmp_path}/none' holds no records: fill it, or name another source"
    with pytest.raises(DataError, match=f"^{message}$"):
        LmdbReader(tmp_path / "none")


def test_a_folder_that_is_no_database(tmp_path):
    with pytest.raises(DataError, match=f"^'{tmp_path}' is not an LMDB: it holds no file data.mdb$"):
        LmdbReader(tmp_path)


def test_an_empty_file(tmp_path):
    (tmp_path / "data.mdb").touch()
    message = f"cannot read LMDB '{tmp_path}': data.mdb is empty; copy or make it again"
    with pytest.raises(DataError, match=f"^{message}$"):
        LmdbReader(tmp_path)


def test_a_file_of_something_else(tmp_path):
    (tmp_path / "data.mdb").write_bytes(b"garbage " * 10_000)
    message = f"cannot read LMDB '{tmp_path}': data.mdb is not an LMDB file"
    with pytest.raises(DataError, match=f"^{message}$"):
        LmdbReader(tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_something_else_than_a_file(tmp_path, make):
    """At once: opening a named pipe would wait for a writer."""
    make(tmp_path / "data.mdb")
    with pytest.raises(DataError, match=f"^'{tmp_path}' is not an LMDB: its data.mdb is not a file$"):
        LmdbReader(tmp_path)


def test_a_truncated_file(caffe_lmdb):
    file = caffe_lmdb / "data.mdb"
    file.write_bytes(file.read_bytes()[:100_000])
    message = (
        f"cannot read LMDB '{caffe_lmdb}': data.mdb is cut off, it has 100000 of 217088 bytes; "
        "copy or make it again"
    )
    with pytest.raises(DataError, match=f"^{message}$"):
        LmdbReader(caffe_lmdb)
