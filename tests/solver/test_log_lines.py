import os

import pytest

from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.solver.log_lines import LONGEST, log_lines

TEXT = "I1 Iteration 0, lr = 0.1\nmesures à 20 °C\nthe end\n"


@pytest.fixture
def lines_of(tmp_path):
    def read(content):
        (tmp_path / "a.log").write_bytes(content)
        return list(log_lines(tmp_path / "a.log"))

    return read


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_and_line_ends(lines_of, encoding, end):
    assert lines_of(TEXT.replace("\n", end).encode(encoding)) == TEXT.splitlines(keepends=True)


def test_the_last_line_may_lack_its_end(lines_of):
    assert lines_of(b"one\ntwo") == ["one\n", "two"]
    assert lines_of(b"") == []


def test_bytes_that_are_no_text(lines_of):
    assert lines_of(b"a\xffb\n\0\0c\0\n") == ["a\\xffb\n", "c\n"]


def test_long_lines_are_passed_over(lines_of):
    just = b"y" * (LONGEST - 1)
    assert lines_of(b"one\n" + b"x" * 3 * LONGEST + b"\ntwo\n") == ["one\n", "two\n"]
    assert lines_of(just + b"\nthree") == [just.decode() + "\n", "three"]


def test_things_that_are_not_files(tmp_path):
    with pytest.raises(FileLookupError, match=r"^no such file: '.*none.log'$"):
        list(log_lines(tmp_path / "none.log"))
    with pytest.raises(DataError, match="Is a directory"):
        list(log_lines(tmp_path))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(DataError, match="is not a regular file"):
            list(log_lines(tmp_path / "pipe"))
