"""Files written whole or not at all."""

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pycaffe_lite.errors import DataError, FileLookupError, SnapshotError
from pycaffe_lite.formats import atomic as files
from pycaffe_lite.formats.atomic import atomic_path, atomic_write, read_bytes, set_aside


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
from pycaffe_lite.formats.atomic import atomic_write
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


def leftover(folder, place=None, process=1, age=0.0, name="a"):
    """A temporary file as a process of this or another machine makes it."""
    place = files._place() if place is None else place
    path = folder / f".{name}.{place and place + '-'}{process}-0123abcd.tmp"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age,) * 2)
    return path


HOUR, DAY = 3600.0, 24 * 3600.0
NOBODY = 2**22 + 1  # above any process number


@pytest.mark.parametrize(
    ("made", "stays"),
    [
        ({"process": os.getppid()}, True),  # a living process
        ({"process": os.getpid()}, False),  # an earlier process of our number
        ({"process": NOBODY}, False),
        ({"process": NOBODY, "place": "0badcafe"}, True),  # on another machine it may be running
        ({"process": os.getpid(), "place": "0badcafe", "age": 20 * HOUR}, True),
        ({"process": os.getpid(), "place": "0badcafe", "age": DAY + 60}, False),
        ({"process": os.getppid(), "age": DAY + 60}, False),  # the number has been given out again
        ({"process": NOBODY, "place": "", "age": HOUR}, True),  # as earlier versions named them
        ({"process": NOBODY, "place": "", "age": DAY + 60}, False),
        ({"process": NOBODY, "name": "ab", "age": DAY + 60}, True),  # of another file
    ],
)
def test_leftovers_are_removed_once_their_writer_is_surely_gone(tmp_path, made, stays):
    path = leftover(tmp_path, **made)
    with atomic_write(tmp_path / "a") as file:
        file.write(b"whole")
    assert path.exists() == stays


def test_threads_that_write_one_file_do_not_disturb_each_other(tmp_path):
    inside = threading.Barrier(2, timeout=60)
    failures = []

    def write(content):
        try:
            for _ in range(20):
                with atomic_write(tmp_path / "a") as file:
                    file.write(content[:100])
                    inside.wait()
                    file.write(content[100:])
        except BaseException as failure:
            failures.append(failure)
            inside.abort()

    threads = [threading.Thread(target=write, args=(letter * 5000,)) for letter in (b"x", b"y")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() in (b"x" * 5000, b"y" * 5000)


def test_names_as_long_as_the_file_system_takes(tmp_path):
    path = tmp_path / ("é" * 127)
    leftover(tmp_path, process=NOBODY, name="é" * 100)
    with atomic_write(path) as file:
        file.write(b"whole")
    assert names(tmp_path) == [path.name]


def test_files_are_set_aside_under_the_next_number(tmp_path):
    path = tmp_path / "run.log"
    assert set_aside(path) is None
    path.touch()
    assert set_aside(path) is None
    for i in (1, 2):
        path.write_text(f"run {i}")
        assert set_aside(path) == tmp_path / f"run.log.{i}"
    (tmp_path / "run.log.07").touch()
    (tmp_path / "run.log.old").touch()
    path.write_text("run 3")
    assert set_aside(path) == tmp_path / "run.log.8"
    assert [(tmp_path / f"run.log.{i}").read_text() for i in (1, 2, 8)] == ["run 1", "run 2", "run 3"]
    assert not path.exists()


def test_what_is_not_a_file_is_not_set_aside(tmp_path):
    (tmp_path / "null").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "fifo")
    assert [set_aside(tmp_path / name) for name in ("null", "fifo", ".")] == [None, None, None]


def make_sparse(path):
    Path(path).touch()
    os.truncate(path, 2**43)


def test_reading(tmp_path):
    (tmp_path / "a").write_bytes(b"\x01\x02\x03")
    data = read_bytes(tmp_path / "a", error=DataError)
    assert data.tolist() == [1, 2, 3]
    assert not data.flags.writeable


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


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (os.mkdir, "Is a directory"),
        (os.mkfifo, "it is a pipe, not a file"),
        (lambda path: os.symlink("/dev/zero", path), "it is a device, not a file"),
        (lambda path: os.symlink(path, path), "Too many levels of symbolic links"),
        (make_sparse, f"it has {2**43} bytes, more than this machine's memory"),
    ],
    ids=["folder", "fifo", "device", "loop", "sparse"],
)
def test_reading_what_is_not_a_file_of_a_sensible_size(tmp_path, make, problem):
    make(str(tmp_path / "x"))
    with pytest.raises(DataError) as caught:
        read_bytes(tmp_path / "x", error=DataError)
    assert str(caught.value) == f"cannot read '{tmp_path / 'x'}': {problem}"


@pytest.mark.parametrize("name", ["no", "nu\0l"])
def test_reading_what_is_not_there(tmp_path, name):
    with pytest.raises(FileLookupError) as caught:
        read_bytes(tmp_path / name, error=DataError)
    assert str(caught.value) == f"no such file: '{tmp_path / name}'".replace("\0", "\\x00")
