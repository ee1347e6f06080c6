"""Caffe's log on stderr: glog's classic line format, which people's log parsers read."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path

LOGGER = logging.getLogger("pycaffe_lite")
_LEVELS = [logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL]
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
        return f"{letter}{stamp}.{micros:06d} {thread:>5} {place}] {record.getMessage()}"


def minimum_level() -> int:
    """The lowest level to show, from GLOG_minloglevel (0 info, 1 warning, 2 error, 3 fatal) as in Caffe."""
    given = os.environ.get("GLOG_minloglevel", "0")  # noqa: SIM112 (glog's own spelling)
    return _LEVELS[min(int(given), 3)] if given.isdigit() else logging.INFO


def init_log(level: int = 0, stderr: bool = True) -> None:
    """Sends the log to stderr from `level` on (0 info, 1 warning, 2 error, 3 fatal), as in pycaffe."""
    if stderr:
        log_to_stderr(_LEVELS[min(level, 3)])


def log(message: str) -> None:
    """Writes an INFO line, as pycaffe's function of this name does."""
    LOGGER.info("%s", message, stacklevel=2)


def log_to_stderr(level: int | None = None) -> None:
    """Sends the package's log to stderr in glog's format; a second call changes the level only."""
    level = minimum_level() if level is None else level
    for handler in LOGGER.handlers:
        if isinstance(handler, _StderrHandler):
            break
    else:
        handler = _StderrHandler()
        handler.setFormatter(GlogFormatter())
        LOGGER.addHandler(handler)
    handler.setLevel(level)
    LOGGER.setLevel(min(h.level for h in LOGGER.handlers))


def log_to_file(path: Path) -> logging.Handler:
    """Sends the package's log to a new file too, in the same format, from INFO on."""
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(GlogFormatter())
    handler.setLevel(logging.INFO)
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    return handler


class _StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to whatever sys.stderr is at the time of writing."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)
