import pytest

from pycaffe_lite.data.conversion import MARK_FILE, Mark, check_whole, read_mark, write_mark
from pycaffe_lite.errors import DataError


def test_a_mark_comes_back(tmp_path):
    assert read_mark(tmp_path) is None
    for mark in (Mark("tool", {"gray": True, "root": "größe"}), Mark("tool", None, 7)):
        write_mark(tmp_path, mark)
        assert read_mark(tmp_path) == mark


@pytest.mark.parametrize("mark", [None, Mark("tool", {}, 0), Mark("tool", None, 7)])
def test_whole_databases(tmp_path, mark):
    if mark:
        write_mark(tmp_path, mark)
    check_whole(tmp_path)


@pytest.mark.parametrize(
    ("settings", "remedy"), [({}, "run it again with --resume"), (None, "delete it and run it again")]
)
def test_unfinished_databases(tmp_path, settings, remedy):
    write_mark(tmp_path, Mark("tool", settings))
    with pytest.raises(DataError, match=rf"is unfinished: tool, which writes it, .*; {remedy}$"):
        check_whole(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"tool": "x"}', b"3"])
def test_what_is_no_mark(tmp_path, content):
    (tmp_path / MARK_FILE).write_bytes(content)
    with pytest.raises(DataError, match=r"is damaged: make the database again$"):
        read_mark(tmp_path)
