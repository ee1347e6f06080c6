"""Writing LevelDB databases as Caffe's tools leave them: CURRENT, a MANIFEST, and one log with all records.

LevelDB makes tables of the log when it opens the database the next time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pycaffe_lite.data.conversion import MARK_FILE
from pycaffe_lite.data.leveldb_log import BATCH_HEAD, VALUE, LevelDbError, LogWriter, read_log, writes_of
from pycaffe_lite.data.leveldb_reader import (
    COMPARATOR,
    COMPARATOR_TAG,
    CURRENT_FILE,
    LAST_WRITE_TAG,
    LOG_TAG,
    NEXT_FILE_TAG,
    PREVIOUS_LOG_TAG,
)
from pycaffe_lite.data.whole_database import sync_folder, write_whole
from pycaffe_lite.errors import DataError
from pycaffe_lite.formats.atomic import atomic_write, reason
from pycaffe_lite.formats.wire import varint

_MANIFEST, _LOG = "MANIFEST-000002", "000003.log"
# As for LMDBs.
_RECORDS_PER_COMMIT, _BYTES_PER_COMMIT = 1000, 64 << 20


class LevelDbWriter:
    """Adds records to a LevelDB; they are there for good with each `commit`.

    Args:
        path: the folder, which must be there; a database in it that such a writer has left is gone on with.
        shown: what errors call it; None: `path`.

    Attributes:
        records: how many have been committed. last_key: the greatest key of the database.

    Raises:
        DataError: (all methods) the database cannot be written.
    """

    FILES = frozenset({CURRENT_FILE, _MANIFEST, _LOG, "LOCK", "LOG", "LOG.old", MARK_FILE})
    NAME = "a LevelDB"

    def __init__(self, path: Path, shown: Path | None = None) -> None:
        self._path = path
        self._shown = shown or path
        self._pending: list[bytes] = []
        self._keys: list[bytes] = []
        self._bytes = 0
        self.records, self.last_key = 0, b""
        with self._failures():
            size = self._whole_part()
            self._file = open(path / _LOG, "r+b" if size else "wb")  # noqa: SIM115
            self._file.truncate(size)
            self._file.seek(size)
            self._log = LogWriter(self._file, size)
            if not size:
                self._write_head()

    def put(self, key: bytes, value: bytes) -> None:
        """Adds a record; of two of one key, the later one counts. Commits those that have come together."""
        self._pending += [bytes([VALUE]), varint(len(key)), key, varint(len(value)), value]
        self._keys.append(key)
        self._bytes += len(key) + len(value)
        if len(self._keys) >= _RECORDS_PER_COMMIT or self._bytes >= _BYTES_PER_COMMIT:
            self.commit()

    def commit(self) -> None:
        """Writes the records as a batch, and brings it to the disk."""
        if self._keys:
            head = BATCH_HEAD.pack(self.records + 1, len(self._keys))
            with self._failures():
                self._log.add(b"".join([head, *self._pending]))
                self._file.flush()
                os.fsync(self._file.fileno())
        self.records += len(self._keys)
        self.last_key = max([self.last_key, *self._keys])
        self._pending, self._keys, self._bytes = [], [], 0

    def close(self) -> None:
        """Closes the database; what has not been committed is lost."""
        with self._failures():
            self._file.close()

    def _whole_part(self) -> int:
        """How many bytes of the log that is there are whole batches; takes in what these hold."""
        end = 0
        if (self._path / CURRENT_FILE).exists() and (self._path / _LOG).exists():
            descriptor = os.open(self._path / _LOG, os.O_RDONLY)
            with contextlib.suppress(LevelDbError), os.fdopen(descriptor):  # the rest was being written
                for record in read_log(descriptor, _LOG):
                    for number, key, _, _ in writes_of(record.content):
                        self.records = number
                        self.last_key = max(self.last_key, key)
                    end = record.end
        return end

    def _write_head(self) -> None:
        """What says that there is a log, of which no table has been made yet."""
        with atomic_write(self._path / _MANIFEST, error=DataError) as file:
            manifest = LogWriter(file)
            manifest.add(bytes([COMPARATOR_TAG, len(COMPARATOR)]) + COMPARATOR)
            manifest.add(bytes([LOG_TAG, 3, PREVIOUS_LOG_TAG, 0, NEXT_FILE_TAG, 4, LAST_WRITE_TAG, 0]))
        with atomic_write(self._path / CURRENT_FILE, error=DataError) as file:
            file.write(f"{_MANIFEST}\n".encode())
        sync_folder(self._path)

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(f"cannot write '{self._shown}': {reason(error)}") from None


def write_leveldb(path: Path, records: Iterable[tuple[bytes, bytes]]) -> int:
    """Writes records as a LevelDB; the database is there whole, or not at all.

    See `write_whole`.
    """
    return write_whole(path, records, LevelDbWriter)
