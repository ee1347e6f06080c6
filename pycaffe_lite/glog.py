"""Caffe's log: glog's classic line format, which people's log parsers read.

From Python the log goes to stderr, as pycaffe's does, unless the program has set up logging itself. What it
holds of files, names above all, is printable, also for the program's own handlers.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import numbers
import os
import stat
import sys
import threading
import time
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import cast

from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.printable import Lines, printable_line, printable_lines

LOGGER = logging.getLogger("pycaffe_lite")
LEVELS = [logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL]
LETTERS = {logging.DEBUG: "I", logging.INFO: "I", logging.WARNING: "W", logging.ERROR: "E"}


class GlogFormatter(logging.Formatter):
    """`I1121 12:34:56.789012  4242 base.py:239] message`: severity, month and day, time, thread, place.

    The date has no year, as in the glog of Caffe's time: newer ones write it, and Caffe's own log parsers
    then fail.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line, or as several if its message has several."""
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

    A second call changes the level; with `stderr` false the log stays where it is, and goes nowhere if the
    program has not set up logging.
    """
    _destination.leave_to_program()
    if stderr:
        for handler in list(LOGGER.handlers):
            if isinstance(handler, StderrHandler):
                detach(handler)
        attach(StderrHandler(LEVELS[max(0, min(level, 3))]))


def log(message: str) -> None:
    """Writes an INFO line, or several if the message has several."""
    open_log()
    LOGGER.info("%s", Lines(message), stacklevel=2)


def open_log() -> None:
    """Sends the log to stderr, from GLOG_minloglevel on, unless somebody has said where it should go.

    Called where work begins: when a prototxt is read, a net or solver made, a training started. The program
    has set up logging if the root logger or the package's has a handler, or after `init_log`; a level that
    it has given the package's logger holds in any case.
    """
    _destination.choose()


def attach(handler: logging.Handler) -> None:
    """Sends the package's log to a handler, from the handler's level on."""
    _destination.add(handler)


def detach(handler: logging.Handler) -> None:
    """Ends what `attach` began, and closes the handler."""
    _destination.remove(handler)
    handler.close()


def has_destination() -> bool:
    """Whether the log goes anywhere that `attach` has named."""
    return bool(_destination.handlers)


class _Destination:
    """Where the log goes.

    Attributes:
        handlers: those that `attach` has named.
    """

    def __init__(self) -> None:
        self.handlers: list[logging.Handler] = []
        self._lock = threading.RLock()
        self._door = _Door()
        self._unasked: StderrHandler | None = None
        self._may_choose = True
        self._level_before = logging.NOTSET

    def add(self, handler: logging.Handler) -> None:
        """Has a handler get the log."""
        with self._lock:
            self._drop_unasked()
            if not self.handlers:
                self._level_before = LOGGER.level
            self.handlers.append(handler)
            self._connect(handler)
            self._adjust_level()

    def remove(self, handler: logging.Handler) -> None:
        """Ends that."""
        with self._lock:
            LOGGER.removeHandler(handler)
            if handler in self.handlers:
                self.handlers.remove(handler)
                self._adjust_level()

    def choose(self) -> None:
        """Connects or disconnects stderr, according to the logging that the program has set up by now."""
        with self._lock:
            own = {self._door, self._unasked}
            theirs = logging.getLogger().handlers or [h for h in LOGGER.handlers if h not in own]
            if theirs or not self._may_choose or not LOGGER.propagate:
                self._drop_unasked()
                self._connect_door()
            elif self._unasked is None:
                self._unasked = StderrHandler(minimum_level())
                self._level_before = LOGGER.level
                self._connect(self._unasked)
                if LOGGER.level == logging.NOTSET:
                    LOGGER.setLevel(self._unasked.level)

    def leave_to_program(self) -> None:
        """Leaves it to the program where the log goes, from now on."""
        with self._lock:
            self._may_choose = False
            self._drop_unasked()

    def _drop_unasked(self) -> None:
        if self._unasked is not None:
            LOGGER.removeHandler(self._unasked)
            if LOGGER.level == self._unasked.level:  # ours, not one that the program has set since
                LOGGER.setLevel(self._level_before)
            self._unasked = None

    def _connect(self, handler: logging.Handler) -> None:
        self._connect_door()
        LOGGER.addHandler(handler)

    def _connect_door(self) -> None:
        if LOGGER.handlers[:1] != [self._door]:
            LOGGER.removeHandler(self._door)
            LOGGER.handlers.insert(0, self._door)

    def _adjust_level(self) -> None:
        """Sets the level below which records need not be made: nobody would see them."""
        LOGGER.setLevel(min((handler.level for handler in self.handlers), default=self._level_before))


class _Door(logging.Handler):
    """The filter that makes each record of the package printable before a handler writes it.

    Format strings are ours and stay as they are. What is put into them is escaped and cut, all but numbers; a
    text of `Lines` line by line.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Replaces the texts of a record."""
        if not record.args:
            record.msg = _printable(record.msg)
        elif isinstance(record.args, Mapping):
            record.args = {name: _printable(arg) for name, arg in record.args.items()}
        else:
            record.args = tuple(map(_printable, record.args))
        return True


def _printable(value: object) -> object:
    if isinstance(value, numbers.Number):
        return value
    return printable_lines(value) if isinstance(value, Lines) else printable_line(str(value))


_destination = _Destination()


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
        """Raises the error of a pipe that nobody reads any more; goes on if a terminal has gone away."""
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
            what = "nobody reads this pipe" if error.errno == errno.ENXIO else error.strerror
            raise PycaffeError(f"cannot write the log to '{path}': {what}") from None
        self._path = path
        self._has_failed = False
        self.setLevel(logging.INFO)
        self.setFormatter(GlogFormatter())

    def _open(self) -> TextIOWrapper:
        name, mode, opener = self.baseFilename, self.mode, _open_without_waiting
        file = open(name, mode, encoding=self.encoding, errors=self.errors, opener=opener)  # noqa: SIM115
        return cast("TextIOWrapper", file)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own name)
        """Says once that the file cannot be written, say because the disk is full; the program goes on."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_failed:
            self._has_failed = True
            LOGGER.warning("cannot write the log to '%s': %s", self._path, error.strerror)

    def close(self) -> None:
        """Closes the file; that it could not be written to has been said before."""
        with contextlib.suppress(OSError):
            super().close()


def _open_without_waiting(path: str, flags: int) -> int:
    """Opens a file for writing; a named pipe that nobody reads is an error rather than a wait."""
    file = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    if stat.S_ISFIFO(os.fstat(file).st_mode):
        os.set_blocking(file, True)
    return file
