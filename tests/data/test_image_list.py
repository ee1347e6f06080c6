import logging
import re

import numpy as np
import pytest

from pycaffe_lite.data.image_list import read_list
from pycaffe_lite.errors import DataError, FileLookupError


@pytest.fixture
def write(tmp_path):
    def written(content):
        (tmp_path / "list.txt").write_bytes(content)
        return tmp_path / "list.txt"

    return written


@pytest.mark.parametrize(
    ("line", "name", "label"),
    [
        (b"a.png 3", "a.png", 3),
        (b"my dog 2.png 3", "my dog 2.png", 3),
        (b"a.png 3\r", "a.png", 3),
        (b"a.png  7", "a.png ", 7),
        (b"a.png -2", "a.png", -2),
        (b"a.png +2", "a.png", 2),
        (b"a.png 12abc", "a.png", 12),
        (b"a.png 4294967297", "a.png", 1),
        (b"a.png 99999999999999999999", "a.png", -1),
        (b"a.png -99999999999999999999", "a.png", 0),
        (b"a.png " + b"0" * 30 + b"7", "a.png", 7),
        (b"a.png dog", "a.png", 0),
        (b"a.png", "a.png", 0),
        (b"12.png", "12.png", 12),
        (b"a.png\r", "a.png", 0),
        (b"a.png\t3", "a.png\t3", 0),
        (b"a.png 3 ", "a.png 3", 0),
        (b"", "", 0),
        (b"a.png 4294967298", "a.png", 2),
        ("hütte.png 1".encode(), "hütte.png", 1),
        (b"h\xfctte.png 1", "h\udcfctte.png", 1),
    ],
)
def test_lines(write, line, name, label):
    found = read_list(write(line + b"\nlast.png 9"))
    assert found.names == [name, "last.png"]
    assert found.labels.tolist() == [label, 9]
    assert found.labels.dtype == np.int32


def test_every_line_counts(write):
    assert read_list(write(b"a 1\n\nb 2\n")).names == ["a", "", "b"]
    assert read_list(write(b"a 1\n\n")).names == ["a", ""]
    assert read_list(write(b"\xef\xbb\xbfa 1\n")).names == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"a 1\nb.png\nc 2\n",
            "line 2 of '{}' has no label behind its last space: 0 is taken, as in Caffe: 'b.png'",
        ),
        (
            b"a 1\nb 2x\r\nc.png\n",
            "line 2 of '{}' has no label behind its last space: 2 is taken, as in Caffe; 1 other line "
            "likewise: 'b 2x'",
        ),
        (
            b"a\nb\nc\n",
            "line 1 of '{}' has no label behind its last space: 0 is taken, as in Caffe; 2 other lines "
            "likewise: 'a'",
        ),
    ],
)
def test_lines_without_a_label_are_told_of_once(write, caplog, content, message):
    path = write(content)
    with caplog.at_level(logging.WARNING):
        read_list(path)
    assert caplog.messages == [message.format(path)]


def test_whole_lists_are_read_in_silence(write, caplog):
    read_list(write(b"a 1\r\nb c 2\r\n\r\n"))
    assert caplog.messages == []


def test_no_list(write, tmp_path):
    path = write(b"")
    message = f"the list '{path}' is empty: write a line for each picture, its file and its label"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_list(path)
    with pytest.raises(FileLookupError, match=f"^no such file: '{tmp_path}/other'$"):
        read_list(tmp_path / "other")
    with pytest.raises(DataError, match=f"^cannot read '{tmp_path}': Is a directory$"):
        read_list(tmp_path)
