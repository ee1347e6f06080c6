"""Files that a prototxt names: from the working directory, else from its own folder or above."""

from pathlib import Path

import pytest

from pycaffe_lite.errors import FileLookupError
from pycaffe_lite.proto.paths import resolve


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
