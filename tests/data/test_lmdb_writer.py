import os
import re

import lmdb
import pytest

from pycaffe_lite.data.lmdb_writer import LmdbWriter, write_lmdb
from pycaffe_lite.errors import DataError


def records(count, size=100):
    return [(b"%08d" % i, bytes([i % 251]) * size) for i in range(count)]


def content(path):
    environment = lmdb.open(str(path), readonly=True, lock=False)
    with environment.begin() as transaction:
        found = list(transaction.cursor())
    environment.close()
    return found


def test_what_is_written_is_there(tmp_path):
    assert write_lmdb(tmp_path / "db", iter(records(1000))) == 1000
    assert content(tmp_path / "db") == records(1000)
    assert os.listdir(tmp_path) == ["db"]
    assert os.listdir(tmp_path / "db") == ["data.mdb"]


def test_the_map_grows_as_needed(tmp_path):
    write_lmdb(tmp_path / "db", records(25_000, 2000))  # 50 MB
    found = content(tmp_path / "db")
    assert len(found) == 25_000
    assert found[-1] == records(25_000, 2000)[-1]


def test_pages_are_full(tmp_path):
    write_lmdb(tmp_path / "db", records(20_000, 796))
    size = (tmp_path / "db" / "data.mdb").stat().st_size
    assert size < 1.05 * 20_000 / 5 * 4096  # five records of 800 bytes fit a page


def test_folders_are_made_and_databases_replaced(tmp_path):
    path = tmp_path / "a" / "b" / "db"
    write_lmdb(path, records(5))
    lmdb.open(str(path)).close()  # leaves a lock file
    write_lmdb(path, records(3))
    assert content(path) == records(3)
    assert os.listdir(path.parent) == ["db"]


def test_readers_of_a_replaced_database_go_on(tmp_path):
    write_lmdb(tmp_path / "db", records(5))
    environment = lmdb.open(str(tmp_path / "db"), readonly=True, lock=False)
    with environment.begin() as transaction:
        write_lmdb(tmp_path / "db", records(3))
        assert list(transaction.cursor()) == records(5)
    environment.close()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_other_things_are_not_replaced(tmp_path, kind):
    path = tmp_path / "db"
    if kind == "file":
        path.write_text("mine")
    else:
        path.mkdir()
        (path / "mine").touch()
    message = f"cannot write '{path}': something else than an LMDB has this name; remove or rename it"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        write_lmdb(path, records(1))


def test_an_error_on_the_way_leaves_the_old_database(tmp_path):
    def broken():
        yield from records(100)
        raise RuntimeError("no more")

    write_lmdb(tmp_path / "db", records(5))
    with pytest.raises(RuntimeError, match="no more"):
        write_lmdb(tmp_path / "db", broken())
    assert content(tmp_path / "db") == records(5)
    assert os.listdir(tmp_path) == ["db"]


def test_keys_must_ascend(tmp_path):
    with pytest.raises(DataError, match=r"^keys must ascend, but '00000003' does not$"):
        write_lmdb(tmp_path / "db", [*records(5), records(4)[3]])
    assert not os.listdir(tmp_path)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "db"
    with pytest.raises(DataError, match=f"^{re.escape(f'cannot write {str(path)!r}: File exists')}$"):
        write_lmdb(path, records(1))


def test_a_full_disk(tmp_path, limited):
    with pytest.raises(DataError) as raised:
        write_lmdb(tmp_path / "db", records(2000))
    assert str(raised.value) == f"cannot write '{tmp_path / 'db'}': Input/output error"
    assert not os.listdir(tmp_path)


def test_it_goes_on_behind_the_last_commit(tmp_path):
    writer = LmdbWriter(tmp_path)
    for key, value in records(1300):
        writer.put(key, value)
    assert (writer.records, writer.last_key) == (1000, b"00000999")
    writer.close()
    writer = LmdbWriter(tmp_path)
    assert (writer.records, writer.last_key) == (1000, b"00000999")
    for key, value in records(1300)[1000:]:
        writer.put(key, value)
    writer.commit()
    writer.close()
    assert content(tmp_path) == records(1300)


def test_keys_of_other_lengths(tmp_path):
    with pytest.raises(DataError) as raised:
        write_lmdb(tmp_path / "db", [(b"x" * 512, b"")])
    assert str(raised.value) == (
        f"cannot write '{tmp_path / 'db'}': the key '{'x' * 100}…' has 512 bytes, and an LMDB takes 1 to "
        "511; a LevelDB takes more"
    )


def test_keys_need_not_ascend(tmp_path):
    """Caffe's do not from the line 100,000,000 on."""
    writer = LmdbWriter(tmp_path)
    for key in (b"99999999_a", b"100000000_b", b"99999998_c"):
        writer.put(key, key)
    writer.commit()
    writer.close()
    assert writer.last_key == b"99999999_a"
    assert [key for key, _ in content(tmp_path)] == [b"100000000_b", b"99999998_c", b"99999999_a"]
