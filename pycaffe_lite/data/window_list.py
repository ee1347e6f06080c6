"""Lists of windows in pictures, as R-CNN writes them and WindowData reads them.

A block for each picture: `# 0`, the picture's file, its channels, height and width, the number of its
windows, then a line for each window: `class overlap x1 y1 x2 y2`. The number behind `#` says which picture
the windows are of, counted from 0 in the order of the blocks. Of the channels only those of the last count.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import DataError
from pycaffe_lite.proto.paths import read_regular

_LARGEST_LIST = 1 << 34  # bytes
_CHANNELS = 3  # of the pictures, which are always read in colour
_NUMBERS = 6  # of a window
_MOST_DIGITS = 18  # of a whole number


class Windows(NamedTuple):
    """Windows of one kind.

    Attributes:
        pictures: (n,) int64, by their places in the list.
        labels: (n,) int64, their classes.
        boxes: (n, 4) int64, x1, y1, x2, y2; the last column and row belong to the window.
    """

    pictures: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.int64]


class WindowList(NamedTuple):
    """A list of windows.

    Attributes:
        path: of the list.
        names: of the pictures.
        foreground: windows that overlap an object enough.
        background: those that overlap none enough; their labels are 0.
        checksum: of the file's bytes.
    """

    path: Path
    names: list[str]
    foreground: Windows
    background: Windows
    checksum: int


class _Picture(NamedTuple):
    """What a list says of a picture: its file and its channels, and up to which line it says so."""

    name: str
    channels: int
    line: int


def read_windows(path: Path, fg_threshold: float, bg_threshold: float) -> WindowList:
    """Reads a list.

    Args:
        path: of the list.
        fg_threshold: overlap from which on a window is foreground.
        bg_threshold: overlap below which any other window is background; the rest is left out.

    Raises:
        FileLookupError: there is no such file.
        DataError: it cannot be read; the last picture has other channels than 3; there is no picture of a
            number; a foreground window has a class below 1; there are no windows of one of the two kinds.
    """
    content = read_regular(path, _LARGEST_LIST, "a list of windows", error=DataError)
    words = Words(path, content)
    names: list[str] = []
    numbered: list[tuple[int, int]] = []  # numbers of pictures, and the lines of the list where they stand
    pictures: list[npt.NDArray[np.int64]] = []
    numbers: list[npt.NDArray[np.float64]] = []
    last = _Picture("", _CHANNELS, 0)
    while words.more():
        index = _number(words)
        numbered.append((index, words.line))
        last = _picture(words)
        names.append(last.name)
        windows = words.numbers(words.integer("the number of windows") * _NUMBERS, "windows")
        numbers.append(windows.reshape(-1, _NUMBERS))
        pictures.append(np.full(len(numbers[-1]), index))
    if last.channels != _CHANNELS:
        message = f"'{last.name}' has {last.channels} channels: pictures are read with 3, write 3"
        raise words.error(message, last.line)
    for index, line in numbered:
        if index >= len(names):
            raise words.error(f"there is no picture {index} in the list: number them 0, 1, 2, ...", line)
    table = np.concatenate([np.empty((0, _NUMBERS)), *numbers])
    of_picture = np.concatenate([np.empty(0, np.int64), *pictures])
    integers = table[:, [0, 2, 3, 4, 5]].astype(np.int64)
    overlap = table[:, 1].astype(np.float32)
    is_foreground = overlap >= np.float32(fg_threshold)
    is_background = ~is_foreground & (overlap < np.float32(bg_threshold))
    foreground, background = (
        Windows(of_picture[chosen], integers[chosen, 0], integers[chosen, 1:])
        for chosen in (is_foreground, is_background)
    )
    background.labels[:] = 0
    _check(path, names, foreground, background, fg_threshold, bg_threshold)
    return WindowList(path, names, foreground, background, zlib.crc32(content))


def _number(words: Words) -> int:
    """The number at the beginning of the next block."""
    mark = words.next("'#'")
    if mark != b"#":
        raise words.error(
            f"'#' and the number of a picture must come here, got '{mark.decode(errors='replace')}'"
        )
    return words.integer("the number of a picture")


def _picture(words: Words) -> _Picture:
    """The next picture."""
    name = words.next("a picture's file").decode("utf-8", "surrogateescape")
    channels, _, _ = (words.integer(f"the {size} of a picture") for size in ("channels", "height", "width"))
    return _Picture(name, channels, words.line)


def _check(
    path: Path,
    names: list[str],
    foreground: Windows,
    background: Windows,
    fg_threshold: float,
    bg_threshold: float,
) -> None:
    bad = np.flatnonzero(foreground.labels < 1)
    if bad.size:
        picture = names[foreground.pictures[bad[0]]]
        raise DataError(
            f"'{path}': a window of picture '{picture}' with an overlap of fg_threshold or more has class "
            f"{foreground.labels[bad[0]]}: classes of objects start at 1"
        )
    for windows, name, condition in (
        (foreground, "foreground", f"an overlap of fg_threshold {fg_threshold:g} or more"),
        (background, "background", f"an overlap below bg_threshold {bg_threshold:g}"),
    ):
        if not len(windows.pictures):
            raise DataError(f"'{path}' has no {name} window, none with {condition}: batches take both kinds")


class Words:
    """The words of a list, one after the other; a line is split when it is needed."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        self._most = (len(content) + 1) // 2  # words, each with what separates it from the next
        self._lines = iter(enumerate(content.split(b"\n"), 1))
        self.line = 0  # of the word before
        self._words: list[bytes] = []
        self._used = 0

    def more(self) -> bool:
        """Whether there is another word; brings its line."""
        while self._used == len(self._words):
            following = next(self._lines, None)
            if following is None:
                return False
            self.line, text = following
            self._words, self._used = text.split(), 0
        return True

    def next(self, what: str) -> bytes:
        """The next word; `what` it should be, for the error."""
        if not self.more():
            raise self.error(f"the list ends where {what} should be")
        self._used += 1
        return self._words[self._used - 1]

    def integer(self, what: str) -> int:
        """The next word, a whole number of 0 or more."""
        word = self.next(what)
        if not (word.isdigit() and len(word) <= _MOST_DIGITS):
            raise self.error(f"{what} must be a whole number, got '{word.decode(errors='replace')}'")
        return int(word)

    def signed(self, count: int, what: str) -> npt.NDArray[np.int64]:
        """The next `count` words, whole numbers that may be below 0."""
        if count > self._most:
            raise self.error(f"the list is too short for so many {what}")
        out = np.empty(count, np.int64)
        for i in range(count):
            word = self.next(what)
            if not (word.removeprefix(b"-").isdigit() and len(word) <= _MOST_DIGITS):
                raise self.error(f"{what} are whole numbers, got '{word.decode(errors='replace')}'")
            out[i] = int(word)
        return out

    def numbers(self, count: int, what: str) -> npt.NDArray[np.float64]:
        """The next `count` words, as numbers: of windows, whose overlap need not be whole."""
        if count > self._most:
            raise self.error(f"the list is too short for so many {what}")
        out = np.fromiter(self._floats(count, what), np.float64, count)
        whole = np.delete(out.reshape(-1, _NUMBERS), 1, axis=1)
        if not (np.abs(whole) < 1 << 31).all() or (whole != np.rint(whole)).any():
            raise self.error("the class and the corners of windows above this line must be whole numbers")
        return out

    def _floats(self, count: int, what: str) -> Iterator[float]:
        for _ in range(count):
            word = self.next(what)
            try:
                yield float(word)
            except ValueError:
                text = word.decode(errors="replace")
                raise self.error(f"a window is 'class overlap x1 y1 x2 y2', got '{text}'") from None

    def error(self, message: str, line: int | None = None) -> DataError:
        """An error at a line, or at the current one."""
        return DataError(f"line {line or self.line} of '{self._path}': {message}")
