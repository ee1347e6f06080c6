"""Files that a prototxt names: from the working directory, else from its own folder or above; files only."""

import os
import socket
import stat
from pathlib import Path

import pytest

from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.proto import paths
from pycaffe_lite.proto.paths import open_regular, read_at_once, read_regular, resolve

NEEDS_FIFOS = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """A checkout `zoo` with a net two folders down, and another folder to work in."""
    (tmp_path / "zoo" / "models" / "net").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "zoo"


@pytest.mark.parametrize("place", ["models/net/train_lmdb", "models/train_lmdb", "train_lmdb"])
def test_beside_the_prototxt_or_above(zoo, place):
    (zoo / place).mkdir()
    assert resolve("train_lmdb", zoo / "models" / "net") == zoo / place


def test_name_with_folders(zoo):
    (zoo / "models" / "net" / "solver.prototxt").touch()
    expected = zoo / "models" / "net" / "solver.prototxt"
    assert resolve("models/net/solver.prototxt", zoo / "models" / "net") == expected


def test_near_is_relative_to_the_working_directory(zoo):
    (zoo / "mean").touch()
    assert resolve("mean", Path("../zoo/models")) == zoo / "mean"


def test_working_directory_comes_first(zoo):
    (zoo / "models" / "net" / "mean").touch()
    Path("mean").touch()
    assert resolve("mean", zoo / "models" / "net") == Path("mean")
    assert resolve("mean") == Path("mean")


def test_absolute_name(zoo):
    (zoo / "mean").touch()
    assert resolve(str(zoo / "mean"), None) == zoo / "mean"


def test_missing(zoo):
    with pytest.raises(FileLookupError) as error:
        resolve("no/mean", zoo / "models")
    folders = [Path.cwd(), zoo / "models", *(zoo / "models").parents]
    assert str(error.value) == f"no such file: 'no/mean' (looked in {', '.join(map(str, folders))})"
    with pytest.raises(FileLookupError) as error:
        resolve("no/mean")
    assert str(error.value) == f"no such file: 'no/mean' (looked in {Path.cwd()})"


def test_missing_absolute_name(zoo):
    with pytest.raises(FileLookupError) as error:
        resolve("/no/such/mean", zoo)
    assert str(error.value) == "no such file: '/no/such/mean'"


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b"])
def test_name_that_no_file_can_have(zoo, name):
    with pytest.raises(FileLookupError, match="no such file"):
        resolve(name, zoo)


def test_empty_name(zoo):
    with pytest.raises(FileLookupError) as error:
        resolve("", zoo)
    assert str(error.value) == "a file name is empty"


# ------------------------------------------------------------------------------------------- reading


def refused(path, limit=100, **options):
    with pytest.raises(FileLookupError) as error:
        read_regular(path, limit, "a prototxt", **options)
    return str(error.value)


def test_a_file_of_as_many_bytes_as_it_may_have(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    assert read_regular(path, 100, "a prototxt") == b"x" * 100
    with open_regular(path, 100, "a prototxt") as file:
        assert file.read(3) == b"xxx"


def test_a_file_that_is_too_large(tmp_path):
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(2**40)
    assert refused(path, 2**26) == f"cannot read '{path}': more than 64 MiB is too much for a prototxt"
    with pytest.raises(DataError):
        read_regular(path, 2**26, "a prototxt", error=DataError)


def test_a_file_that_grows_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 101)
    real = os.fstat
    monkeypatch.setattr(
        os, "fstat", lambda fd: os.stat_result((stat.S_IFREG, *real(fd)[1:6], 0, *real(fd)[7:]))
    )
    assert refused(path, 100).endswith("is too much for a prototxt")


@NEEDS_FIFOS
def test_what_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    os.symlink("/dev/zero", "zeros")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    for path, says in (
        ("pipe", "it is a pipe, not a file"),
        ("zeros", "it is a device, not a file"),
        ("/dev/zero", "it is a device, not a file"),
        ("/dev/null", "it is a device, not a file"),
        ("socket", "it is a socket, not a file"),
        (".", "Is a directory"),
        ("a\0b", "embedded null byte"),
    ):
        for pipes in (False, True):
            assert refused(path, pipes=pipes) == f"cannot read '{path}': {says}".replace("\0", "\\x00")
    assert refused("none") == "no such file: 'none'"
    assert refused("-") == "no such file: '-'; standard input is /dev/stdin"


@NEEDS_FIFOS
def test_a_pipe_that_takes_the_place_of_a_file(tmp_path, monkeypatch):
    """It was a file when it was looked at."""
    os.mkfifo(tmp_path / "pipe")
    is_file = os.stat(__file__)
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda path: is_file)
        message = refused(tmp_path / "pipe")
    assert message.endswith("it is a pipe, not a file")


@pytest.fixture
def pipe():
    """The path of a pipe as the shell makes it, and the descriptor to write to."""
    read_end, write_end = os.pipe()
    yield f"/dev/fd/{read_end}", write_end
    os.close(read_end)


@NEEDS_FIFOS
def test_pipes_of_the_shell(pipe):
    path, write_end = pipe
    os.write(write_end, b"piped")
    os.close(write_end)
    assert refused(path) == f"cannot read '{path}': it is a pipe, not a file"
    assert read_regular(path, 5, "a prototxt", pipes=True) == b"piped"


@NEEDS_FIFOS
def test_pipes_of_the_shell_that_do_not_end(pipe, monkeypatch):
    path, write_end = pipe
    os.write(write_end, b"piped")
    assert refused(path, limit=4, pipes=True).endswith("is too much for a prototxt")
    monkeypatch.setattr(paths, "_SILENT_SECONDS", 0.01)
    assert refused(path, pipes=True) == (
        f"cannot read '{path}': nothing has come through the pipe for 0.01 seconds"
    )
    os.close(write_end)


@pytest.mark.parametrize(
    ("name", "escapes"),
    [("D:\new\train_lmdb", r"\n and \t"), ("C:\temp", r"\t"), ("E:\1.db", r"\x01"), ("a\bb\bc", r"\x08")],
)
def test_a_path_of_windows_in_a_prototxt(name, escapes):
    with pytest.raises(FileLookupError) as raised:
        resolve(name)
    assert str(raised.value) == (
        f"no such file: {name!r}, with {escapes} read as one character each: a backslash begins an escape "
        r"in a prototxt: write / or \\ in a path"
    )


def test_a_name_with_a_tab_that_is_there(tmp_path):
    (tmp_path / "a\tb").touch()
    assert resolve("a\tb", tmp_path) == tmp_path / "a\tb"


def test_the_root_folder_is_no_file_to_write():
    with pytest.raises(DataError) as error:
        paths.target_of("/", DataError)
    assert str(error.value) == "cannot write '/': Is a directory"


# ------------------------------------------------------------------------------------------------ at once


def test_reading_at_once_finds_what_resolve_finds(zoo, monkeypatch):
    near = zoo / "models" / "net"
    for folder in (zoo, near, Path.cwd()):
        (folder / "cat.jpg").write_bytes(os.fsencode(folder))
        assert read_at_once("cat.jpg", near, 1000) == os.fsencode(folder)
        assert resolve("cat.jpg", near).read_bytes() == os.fsencode(folder)
    assert read_at_once(str(zoo / "cat.jpg"), near, 1000) == os.fsencode(zoo)
    assert read_at_once("cat.jpg", None, 1000) == os.fsencode(Path.cwd())


def test_what_is_not_read_at_once(zoo):
    (zoo / "cat.jpg").write_bytes(b"12345")
    (zoo / "empty.jpg").write_bytes(b"")
    assert read_at_once("cat.jpg", zoo, 5) == b"12345"
    assert read_at_once("cat.jpg", zoo, 4) is None
    for name in ("empty.jpg", "dog.jpg", "models", "a\0b", str(zoo / "dog.jpg"), "cat.jpg/"):
        assert read_at_once(name, zoo, 1000) is None


@NEEDS_FIFOS
def test_a_named_pipe_is_not_read_at_once(zoo):
    os.mkfifo(zoo / "pipe.jpg")
    assert read_at_once("pipe.jpg", zoo, 1000) is None
