"""Writing LMDB databases that Caffe reads."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import lmdb

from pycaffe_lite.data.conversion import MARK_FILE
from pycaffe_lite.data.lmdb_pages import key_text
from pycaffe_lite.data.lmdb_reader import DATA_FILE
from pycaffe_lite.data.whole_database import write_whole
from pycaffe_lite.errors import DataError

_FIRST_MAP_BYTES = 16 << 20
# What is written is kept until it is committed: so many records at most, of so many bytes.
_RECORDS_PER_COMMIT, _BYTES_PER_COMMIT = 1000, 64 << 20
_NEARLY_FULL_BYTES = 1 << 20


class LmdbWriter:
    """Adds records to an LMDB, which grows as needed; they are there for good with each `commit`.

    Args:
        path: the folder, which must be there; a database in it is gone on with.
        shown: what errors call it; None: `path`.

    Attributes:
        records: how many have been committed. last_key: the last key of the database.

    Raises:
        DataError: (all methods) the database cannot be written.
    """

    FILES = frozenset({DATA_FILE, "lock.mdb", MARK_FILE})
    NAME = "an LMDB"

    def __init__(self, path: Path, shown: Path | None = None) -> None:
        self._path = path
        self._shown = shown or path
        self._pending: list[tuple[bytes, bytes]] = []
        self._bytes = 0
        with self._failures():
            self._environment = lmdb.open(str(path), map_size=_FIRST_MAP_BYTES, lock=False)
            self._longest_key: int = self._environment.max_key_size()
            with self._environment.begin() as transaction:
                self.records: int = transaction.stat()["entries"]
                cursor = transaction.cursor()
                self.last_key: bytes = bytes(cursor.key()) if cursor.last() else b""

    def put(self, key: bytes, value: bytes) -> None:
        """Adds a record, or replaces the one of this key; commits those that have come together."""
        if not 0 < len(key) <= self._longest_key:
            raise DataError(
                f"cannot write '{self._shown}': the key '{key_text(key)}' has {len(key)} bytes, and an LMDB "
                f"takes 1 to {self._longest_key}; a LevelDB takes more"
            )
        self._pending.append((key, value))
        self._bytes += len(key) + len(value)
        if len(self._pending) >= _RECORDS_PER_COMMIT or self._bytes >= _BYTES_PER_COMMIT:
            self.commit()

    def commit(self) -> None:
        """Brings all records to the disk."""
        with self._failures():
            while True:
                try:
                    self._write()
                    break
                except lmdb.MapFullError:
                    size = self._environment.info()["map_size"]
                    self._environment.set_mapsize(2 * max(size, self._bytes))
        self._pending, self._bytes = [], 0

    def close(self) -> None:
        """Closes the database; what has not been committed is lost."""
        self._environment.close()

    def _write(self) -> None:
        last_key = self.last_key
        with self._environment.begin(write=True) as transaction:
            for key, value in self._pending:
                # Appending packs the pages full, where the keys come in order.
                transaction.put(key, value, append=key > last_key)
                last_key = max(key, last_key)
            records = transaction.stat()["entries"]
        self.last_key, self.records = last_key, records

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except lmdb.Error as error:
            reason = str(error).rpartition(": ")[2]
            if shutil.disk_usage(self._path).free < self._bytes + _NEARLY_FULL_BYTES:
                reason = os.strerror(errno.ENOSPC)  # LMDB speaks of an input/output error
            raise DataError(f"cannot write '{self._shown}': {reason}") from None


def write_lmdb(path: Path, records: Iterable[tuple[bytes, bytes]]) -> int:
    """Writes records as an LMDB; the database is there whole, or not at all.

    See `write_whole`.
    """
    return write_whole(path, records, LmdbWriter)
