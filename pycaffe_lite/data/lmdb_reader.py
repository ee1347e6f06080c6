"""Reading LMDB databases, record after record, without end."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from itertools import islice
from pathlib import Path

import lmdb

from pycaffe_lite.errors import DataError

log = logging.getLogger(__name__)

Record = tuple[bytes, bytes]

DATA_FILE = "data.mdb"

# Process, device and inode of an open data file.
_Identity = tuple[int, int, int]


class LmdbReader:
    """Goes through the records of an LMDB in the order of their keys, and starts again after the last.

    Several readers may read one database. A reader is used by one thread at a time.

    Args:
        path: the database's folder.

    Raises:
        DataError: the folder holds no LMDB, an empty one, or one that is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        environment = _acquire(path)
        log.info("Opened lmdb %s", path)
        # Not at the end of the process: threads may still be reading then.
        weakref.finalize(self, _release, environment).atexit = False
        try:
            # One transaction for the reader's life: a writer beside it changes nothing under its eyes.
            # Records are copied: a view into LMDB's memory map would outlive the map by a slip.
            self._cursor = environment.lmdb.begin().cursor()
            if not self._cursor.first():
                raise DataError(f"LMDB '{path}' holds no records: fill it, or name another source")
        except lmdb.Error as error:
            raise _unreadable(path, error) from None

    @property
    def key(self) -> bytes:
        """The key of the record that comes next."""
        key: bytes = self._cursor.key()
        return key

    def seek(self, key: bytes) -> None:
        """Makes the record with this key the next.

        Raises:
            DataError: there is none.
        """
        if not self._cursor.set_key(key):
            raise DataError(f"LMDB '{self.path}' has no record with the key '{key_text(key)}'")

    def peek(self) -> Record:
        """Key and value of the record that comes next."""
        key, value = self._cursor.item()
        return key, value

    def read(self, count: int) -> list[Record]:
        """Keys and values of the next `count` records.

        Raises:
            DataError: the database is damaged.
        """
        cursor = self._cursor
        records: list[Record] = []
        try:
            while (missing := count - len(records)) > 0:
                part = list(islice(cursor.iternext(), missing))
                records += part
                # The iterator leaves the cursor at the last record that it gave, or behind the last of all.
                if len(part) < missing or not cursor.next():
                    log.info("Restarting data prefetching from start.")
                    cursor.first()
        except lmdb.Error as error:
            raise _unreadable(self.path, error) from None
        return records


def key_text(key: bytes) -> str:
    """A key for people to read."""
    return key.decode("utf-8", "backslashreplace")


class _Environment:
    """An open LMDB and the number of its readers."""

    def __init__(self, path: Path, identity: _Identity) -> None:
        self.identity = identity
        self.readers = 0
        try:
            self.lmdb = _open(path)
            pages, page_size = self.lmdb.info()["last_pgno"] + 1, self.lmdb.stat()["psize"]
        except lmdb.Error as error:
            raise _unreadable(path, error) from None
        # LMDB reads through a memory map: a page that the file does not have would kill the process.
        size = (path / DATA_FILE).stat().st_size
        if size < pages * page_size:
            self.lmdb.close()
            raise DataError(
                f"cannot read LMDB '{path}': {DATA_FILE} is truncated, it has {size} of {pages * page_size} "
                "bytes; copy or make it again"
            )


# LMDB forbids opening a database twice in one process; a train and a test net may well read the same. A
# finalizer may run in the middle of anything, in the same thread too: hence the re-entrant lock.
_environments: dict[_Identity, _Environment] = {}
_lock = threading.RLock()
# A process that is forked while another thread holds the lock would wait for it for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def _acquire(path: Path) -> _Environment:
    try:
        file = (path / DATA_FILE).stat()
    except OSError:
        raise DataError(f"'{path}' is no LMDB: it holds no file {DATA_FILE}") from None
    if not file.st_size:
        raise DataError(f"cannot read LMDB '{path}': {DATA_FILE} is empty; copy or make it again")
    identity = (os.getpid(), file.st_dev, file.st_ino)  # a forked child must open its own
    with _lock:
        while True:
            environment = _environments.get(identity)
            if environment is None:
                environment = _environments[identity] = _Environment(path, identity)
            environment.readers += 1
            if _environments.get(identity) is environment:
                return environment


def _release(environment: _Environment) -> None:
    with _lock:
        environment.readers -= 1
        if not environment.readers and environment.identity[0] == os.getpid():
            del _environments[environment.identity]
            environment.lmdb.close()


def _open(path: Path) -> lmdb.Environment:
    # The lock file tells writers which pages are being read. Where none can be written (a read-only
    # folder), there is no writer to tell.
    try:
        return lmdb.open(str(path), readonly=True, create=False)
    except (lmdb.ReadonlyError, lmdb.LockError):
        return lmdb.open(str(path), readonly=True, create=False, lock=False)


def _unreadable(path: Path, error: lmdb.Error) -> DataError:
    reason = str(error).removeprefix(f"{path}: ").removeprefix("MDB_")
    return DataError(f"cannot read LMDB '{path}': {reason}")
