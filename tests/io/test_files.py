"""Files written whole or not at all."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from pycaffe_lite.errors import DataError, FileLookupError, SnapshotError
from pycaffe_lite.io import files
from pycaffe_lite.io.files import atomic_path, atomic_write, read_bytes


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_the_file_appears_at_the_end(tmp_path):
    with atomic_write(tmp_path / "a") as file:
        file.write(b"one ")
        assert "a" not in names(tmp_path)
        file.write(b"two")
    assert (tmp_path / "a").read_bytes() == b"one two"
    assert names(tmp_path) == ["a"]


def test_a_path_for_libraries_that_open_by_name(tmp_path):
    with atomic_path(tmp_path / "a") as path:
        path.write_bytes(b"x")
        assert path.parent == tmp_path
    assert (tmp_path / "a").read_bytes() == b"x"


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with atomic_write(tmp_path / "a"):
        pass
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "a")}
    assert len(modes) == 1


def test_a_failure_leaves_the_earlier_file_and_no_other(tmp_path):
    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "a") as file:
        half_then(file, ZeroDivisionError())
    assert (tmp_path / "a").read_bytes() == b"before"
    assert names(tmp_path) == ["a"]


def test_a_full_disk_is_one_line_of_the_wanted_class(tmp_path):
    with pytest.raises(SnapshotError) as caught, atomic_write(tmp_path / "a", error=SnapshotError) as file:
        half_then(file, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert str(caught.value) == f"cannot write '{tmp_path / 'a'}': No space left on device"
    assert names(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_at_the_end_leaves_the_earlier_file(tmp_path, monkeypatch, step):
    (tmp_path / "a").write_bytes(b"before")

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(DataError) as caught, atomic_write(tmp_path / "a", error=DataError) as file:
        file.write(b"after")
    assert str(caught.value) == f"cannot write '{tmp_path / 'a'}': Input/output error"
    assert (tmp_path / "a").read_bytes() == b"before"
    assert names(tmp_path) == ["a"]


def test_a_missing_folder(tmp_path):
    with pytest.raises(DataError) as caught, atomic_write(tmp_path / "no" / "a", error=DataError):
        pass
    assert str(caught.value) == f"cannot write '{tmp_path / 'no' / 'a'}': No such file or directory"


def half_then(file, error):
    file.write(b"half")
    raise error


WRITE_AND_DIE = """
import os, sys
from pycaffe_lite.io.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os._exit(9)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path):
    assert subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(tmp_path / "a")]).returncode == 9
    (leftover,) = names(tmp_path)
    assert leftover.endswith(".tmp")
    (tmp_path / ".other.1-00.tmp").write_bytes(b"another file's")
    with atomic_write(tmp_path / "a") as file:
        file.write(b"whole")
    assert names(tmp_path) == [".other.1-00.tmp", "a"]


def test_a_living_process_keeps_its_temporary_file(tmp_path):
    others = tmp_path / f".a.{os.getppid()}-1234.tmp"
    others.write_bytes(b"in the making")
    with atomic_write(tmp_path / "a"):
        pass
    assert others.exists()


def test_reading(tmp_path):
    (tmp_path / "a").write_bytes(b"\x01\x02\x03")
    data = read_bytes(tmp_path / "a", error=DataError)
    assert data.tolist() == [1, 2, 3]
    assert not data.flags.writeable


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_reading_what_may_never_end(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "pipe"), ("/dev/zero", "device")):
        with pytest.raises(DataError) as caught:
            read_bytes(path, error=DataError)
        assert str(caught.value) == f"cannot read '{path}': it is a {kind}, not a file"


def test_writing_through_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert names(tmp_path) == ["link", "real"]


def test_devices_are_not_replaced(tmp_path):
    (tmp_path / "null").symlink_to("/dev/null")
    with pytest.raises(DataError) as caught, atomic_write(tmp_path / "null", error=DataError):
        pass
    assert str(caught.value) == f"cannot write '{tmp_path / 'null'}': it is a device, not a file"
    assert (tmp_path / "null").is_symlink()


def test_reading_what_is_not_there_or_no_file(tmp_path):
    with pytest.raises(FileLookupError) as caught:
        read_bytes(tmp_path / "no", error=DataError)
    assert str(caught.value) == f"no such file: '{tmp_path / 'no'}'"
    with pytest.raises(DataError) as caught:
        read_bytes(tmp_path, error=DataError)
    assert str(caught.value) == f"cannot read '{tmp_path}': Is a directory"
