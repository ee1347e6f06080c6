"""The lines of a log file, whatever its encoding, line ends and size."""

from __future__ import annotations

import codecs
import errno
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pycaffe_lite.errors import DataError, FileLookupError

# Longer lines say nothing about a run. They are skipped, so that a file without line ends takes no memory.
LONGEST = 1 << 14
_SAMPLE = 4096


def log_lines(path: Path) -> Iterator[str]:
    """Reads a text file line by line. Each line ends in LF, except perhaps the last.

    UTF-8 and UTF-16, with a byte order mark or without; lines that end in CR LF, LF or CR. Bytes that
    are not valid in the encoding are kept as escapes, and NUL bytes are left out: PowerShell's `>>` appends
    UTF-16 to UTF-8, and a power cut leaves blocks of NULs.

    Raises:
        FileLookupError: no such file.
        DataError: it cannot be read, or is not a regular file.
    """
    with _open(path) as file:
        encoding = _encoding(file.peek(_SAMPLE)[:_SAMPLE])
        text = io.TextIOWrapper(file, encoding, errors="backslashreplace")
        try:
            yield from _lines(text)
        except OSError as error:
            raise DataError(f"cannot read '{path}': {error.strerror}") from None


def _open(path: Path) -> io.BufferedReader:
    try:
        # Without blocking: opening a pipe would wait for a writer before it could be told from a file.
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise FileLookupError(f"no such file: '{path}'") from None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read '{path}': {getattr(error, 'strerror', error)}") from None
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        if stat.S_ISDIR(mode):
            raise DataError(f"cannot read '{path}': {os.strerror(errno.EISDIR)}")
        raise DataError(f"'{path}' is not a regular file; save the log to one first")
    return io.BufferedReader(io.FileIO(number), 1 << 16)


def _encoding(sample: bytes) -> str:
    """The encoding of a file, judged by its beginning."""
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # There is no mark. Logs are mostly ASCII, and in UTF-16 every other byte of that is a NUL.
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    most = len(sample) * 3 // 8
    if len(sample) >= 4 and max(even, odd) > most and min(even, odd) == 0:
        return "utf-16-le" if odd else "utf-16-be"
    return "utf-8-sig"


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(LONGEST):
        if len(line) == LONGEST and not line.endswith("\n"):
            while line and not line.endswith("\n"):
                line = text.readline(LONGEST)
            continue
        yield line.replace("\0", "") if "\0" in line else line
