"""Databases that are whole or not there, shown by a kind that is a file of lines."""

import os

import pytest

from pycaffe_lite.data.whole_database import write_whole
from pycaffe_lite.errors import DataError


class Lines:
    FILES = frozenset({"lines"})
    NAME = "a database of lines"

    def __init__(self, path, shown):
        self.file = open(path / "lines", "wb")  # noqa: SIM115
        self.records = 0
        self.pending = []

    def put(self, key, value):
        self.pending.append(key + b" " + value + b"\n")

    def commit(self):
        self.file.write(b"".join(self.pending))
        self.records += len(self.pending)

    def close(self):
        self.file.close()


RECORDS = [(b"a", b"1"), (b"b", b"2")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "db"


def test_the_folders_above_are_made_and_nothing_else_is_left(path):
    assert write_whole(path, RECORDS, Lines) == 2
    assert (path / "lines").read_bytes() == b"a 1\nb 2\n"
    assert list(path.parent.iterdir()) == [path]


def test_an_earlier_database_is_replaced(path):
    write_whole(path, RECORDS, Lines)
    write_whole(path, RECORDS[:1], Lines)
    assert (path / "lines").read_bytes() == b"a 1\n"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("earlier", [False, True])
def test_an_error_on_the_way_leaves_what_was_there(path, earlier):
    def records():
        yield b"x", b"1"
        raise KeyboardInterrupt

    if earlier:
        write_whole(path, RECORDS, Lines)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, records(), Lines)
    assert list(path.parent.iterdir()) == [path] * earlier
    assert not earlier or (path / "lines").read_bytes() == b"a 1\nb 2\n"


def test_where_it_cannot_take_its_place_the_earlier_one_stays(path, monkeypatch):
    write_whole(path, RECORDS, Lines)
    rename = os.rename

    def rename_but_not_the_new_one(source, target):
        if source.name.endswith(".tmp"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_but_not_the_new_one)
    with pytest.raises(DataError, match=r"^cannot write '.*db': Input/output error$"):
        write_whole(path, RECORDS[:1], Lines)
    assert (path / "lines").read_bytes() == b"a 1\nb 2\n"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("last", [b"b", b"ab", b""])
def test_keys_have_to_ascend(path, last):
    with pytest.raises(DataError, match=f"^keys must ascend, but '{last.decode()}' does not$"):
        write_whole(path, [*RECORDS, (last, b"")], Lines)


@pytest.mark.parametrize("kind", ["file", "folder of others"])
def test_what_is_no_such_database_is_not_replaced(path, kind):
    path.parent.mkdir()
    if kind == "file":
        path.write_text("precious")
    else:
        path.mkdir()
        (path / "precious").touch()
    with pytest.raises(DataError, match="something else than a database of lines has this name"):
        write_whole(path, RECORDS, Lines)
    assert path.exists()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"^cannot write '.*db': "):
        write_whole(tmp_path / "file" / "db", RECORDS, Lines)
