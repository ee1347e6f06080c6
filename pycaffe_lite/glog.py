"""Caffe's log: glog's classic line format, which people's log parsers read."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from pathlib import Path

from pycaffe_lite.errors import PycaffeError

LOGGER = logging.getLogger("pycaffe_lite")
LEVELS = [logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL]
LETTERS = {logging.DEBUG: "I", logging.INFO: "I", logging.WARNING: "W", logging.ERROR: "E"}


class GlogFormatter(logging.Formatter):
    """`I1121 12:34:56.789012  4242 base.py:239] message`: severity, month and day, time, thread, place.

    The date has no year, as in the glog of Caffe's time: newer ones write it, and Caffe's own log parsers
    then fail.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line, or as several where its message has several."""
        letter = LETTERS.get(record.levelno, "F")
        stamp = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
        micros = int(record.created % 1 * 1e6)
        # Records are formatted in the thread that made them.
        thread = threading.get_native_id()
        place = f"{record.filename}:{record.lineno}"
        message = record.getMessage().removesuffix("\n")
        return f"{letter}{stamp}.{micros:06d} {thread:>5} {place}] {message}"


def minimum_level() -> int:
    """The lowest level to show, from GLOG_minloglevel (0 info, 1 warning, 2 error, 3 fatal) as in Caffe."""
    given = os.environ.get("GLOG_minloglevel", "0")  # noqa: SIM112 (glog's own spelling)
    return LEVELS[min(int(given), 3)] if given.isdecimal() else logging.INFO


def init_log(level: int = 0, stderr: bool = True) -> None:
    """Sends the log to stderr from `level` on (0 info, 1 warning, 2 error, 3 fatal).

    A second call changes the level; with `stderr` false the log stays where it is.
    """
    if stderr:
        for handler in list(LOGGER.handlers):
            if isinstance(handler, StderrHandler):
                detach(handler)
        attach(StderrHandler(LEVELS[max(0, min(level, 3))]))


def log(message: str) -> None:
    """Writes an INFO line."""
    LOGGER.info("%s", message, stacklevel=2)


def attach(handler: logging.Handler) -> None:
    """Sends the package's log to a handler, from the handler's level on."""
    LOGGER.addHandler(handler)
    _adjust_level()


def detach(handler: logging.Handler) -> None:
    """Ends what `attach` began, and closes the handler."""
    LOGGER.removeHandler(handler)
    handler.close()
    _adjust_level()


def _adjust_level() -> None:
    """Sets the level below which records need not be made: nobody would see them."""
    LOGGER.setLevel(min((handler.level for handler in LOGGER.handlers), default=logging.NOTSET))


class StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes glog's lines to whatever sys.stderr is at the time of writing."""

    def __init__(self, level: int = logging.INFO) -> None:
        super().__init__(sys.stderr)
        self.setLevel(level)
        self.setFormatter(GlogFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record."""
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own name)
        """Passes on that nobody reads the pipe any more, which ends a program; goes on without a terminal."""
        error = sys.exc_info()[1]
        if isinstance(error, BrokenPipeError):
            raise error
        if not isinstance(error, OSError):
            super().handleError(record)


class LogFile(logging.FileHandler):
    """Writes glog's lines to a file.

    Args:
        path: the file; its folder must be there. append: keep what it holds.

    Raises:
        PycaffeError: the file cannot be written.
    """

    def __init__(self, path: Path, *, append: bool = False) -> None:
        try:
            super().__init__(path, mode="a" if append else "w", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise PycaffeError(f"cannot write the log to '{path}': {error.strerror}") from None
        self._path = path
        self._has_failed = False
        self.setLevel(logging.INFO)
        self.setFormatter(GlogFormatter())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own name)
        """Says once that the file cannot be written, say because the disk is full; the program goes on."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_failed:
            self._has_failed = True
            LOGGER.warning("cannot write the log to '%s': %s", self._path, error.strerror)

    def close(self) -> None:
        """Closes the file; what could not be written has been said."""
        with contextlib.suppress(OSError):
            super().close()
