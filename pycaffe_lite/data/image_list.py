"""Lists of pictures, as ImageData and convert-imageset read them: a line for each, `path/name.jpg 3`."""

from __future__ import annotations

import logging
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import DataError
from pycaffe_lite.proto.paths import read_regular

log = logging.getLogger(__name__)

_LARGEST_LIST = 1 << 32  # bytes
_BOM = b"\xef\xbb\xbf"
# What C's atoi reads of a text, and what is a label and nothing else.
_NUMBER = re.compile(rb"[ \t\n\v\f\r]*([+-]?[0-9]+)")
_LABEL = re.compile(rb"[+-]?[0-9]+\s*")
_INT_BITS = 32
_LONGEST_LONG = 4000  # digits, of which Python reads no more than 4300; zeros at the front count, too


class ImageList(NamedTuple):
    """The pictures of a list.

    Attributes:
        path: of the list.
        names: of the pictures, as they stand there, line by line; an empty line has an empty name.
        labels: (lines,) int32.
        checksum: of the file's bytes.
    """

    path: Path
    names: list[str]
    labels: npt.NDArray[np.int32]
    checksum: int

    def place(self, index: int) -> str:
        """A line of the list, for messages."""
        return f"line {index + 1} of '{self.path}'"


def read_list(path: Path) -> ImageList:
    """Reads a list by Caffe's rules.

    The last space of a line is what separates name and label, so that names may have spaces. Of the label
    the digits at its beginning count, or it is 0; a warning names the first line without a label. A
    carriage return at the end of a line has no effect.

    Raises:
        FileLookupError: there is no such file.
        DataError: it cannot be read, or is empty.
    """
    content = read_regular(path, _LARGEST_LIST, "a list of pictures", error=DataError)
    lines = content.removeprefix(_BOM).split(b"\n")
    if not lines[-1]:
        del lines[-1]
    if not lines:
        raise DataError(f"the list '{path}' is empty: write a line for each picture, its file and its label")
    names: list[str] = []
    labels = np.empty(len(lines), np.int32)
    without: list[int] = []
    for i, line in enumerate(lines):
        name, space, text = line.rpartition(b" ")
        if not space:
            name = line.rstrip(b"\r")
        if line.strip() and not (space and _LABEL.fullmatch(text)):
            without.append(i)
        names.append(name.decode("utf-8", "surrogateescape"))
        labels[i] = _atoi(text)
    found = ImageList(path, names, labels, zlib.crc32(content))
    if without:
        _warn(found, without, lines)
    return found


def _atoi(text: bytes) -> int:
    """What C makes a text: the number at its beginning, or 0; with 32 bits."""
    number = _NUMBER.match(text)
    # A long is what it reads, which stops at its bounds; an int is what it keeps of that.
    value = min(max(int(number[1][:_LONGEST_LONG]) if number else 0, -(1 << 63)), (1 << 63) - 1)
    bound = 1 << (_INT_BITS - 1)
    return (value + bound) % (2 * bound) - bound


def _warn(found: ImageList, without: list[int], lines: list[bytes]) -> None:
    first = without[0]
    others = len(without) - 1
    log.warning(
        "%s has no label behind its last space: %d is taken, as in Caffe%s: '%s'",
        found.place(first),
        found.labels[first],
        f"; {others} other {'line' if others == 1 else 'lines'} likewise" if others else "",
        lines[first].decode("utf-8", "replace").rstrip("\r"),
    )
