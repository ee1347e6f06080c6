"""Opening databases: LMDBs and LevelDBs of Datum messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from pycaffe_lite.data.conversion import check_whole
from pycaffe_lite.data.leveldb_reader import CURRENT_FILE, LevelDbReader
from pycaffe_lite.data.lmdb_reader import DATA_FILE, LmdbReader
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2

Record = tuple[bytes, bytes]

# By the names that Caffe's tools take.
LMDB, LEVELDB = "lmdb", "leveldb"
BACKENDS = (LMDB, LEVELDB)

# What databases are called in sentences.
_NAMES = {LMDB: "an LMDB", LEVELDB: "a LevelDB"}
# Names of files within a database that people give for the database.
_FILES = (DATA_FILE, "lock.mdb", CURRENT_FILE)


class Reader(Protocol):
    """Goes through the records of a database in the order of their keys, and starts again after the last.

    A reader is used by one thread at a time. What fails raises a DataError.
    """

    path: Path
    counts_at_once: bool  # whether `count` need not go through the records

    @property
    def key(self) -> bytes:
        """The key of the record that comes next."""

    def seek(self, key: bytes) -> None:
        """Makes the record with this key the next."""

    def peek(self) -> Record:
        """Key and value of the record that comes next."""

    def read(self, count: int) -> list[Record]:
        """Keys and values of the next `count` records."""

    def skip(self, count: int) -> None:
        """Steps over the next `count` records."""

    def count(self) -> int:
        """How many records there are."""

    def keys(self) -> list[bytes]:
        """The keys of all records; the record that comes next stays the same."""


def first_records(reader: Reader, count: int) -> Iterator[Record]:
    """The next records of a database that has so many; the reader does not start again."""
    for _ in range(count - 1):
        yield reader.read(1)[0]
    yield reader.peek()


def open_database(path: Path, backend: int) -> Reader:
    """A reader at the first record of the database that a `data_param` names.

    Args:
        path: its folder.
        backend: caffe_pb2.DataParameter.LMDB or LEVELDB, which is the default.

    Raises:
        DataError: it is not a folder, holds no database of this kind that can be read, or a database that is
            not finished.
    """
    is_lmdb = backend == caffe_pb2.DataParameter.LMDB
    found = _backend_of(path)
    if found == LMDB and not is_lmdb:
        raise DataError(
            f"data_param.backend is LEVELDB, its default, but '{path}' is an LMDB: write 'backend: LMDB'"
        )
    if found == LEVELDB and is_lmdb:
        raise DataError(f"data_param.backend is LMDB, but '{path}' is a LevelDB: write 'backend: LEVELDB'")
    return _open(path, LMDB if is_lmdb else LEVELDB)


def open_any(path: Path, backend: str | None = None) -> tuple[str, Reader]:
    """The kind of a database, lmdb or leveldb, and a reader at its first record.

    Args:
        path: its folder. backend: the kind that it must be; None: either.

    Raises:
        DataError: as for `open_database`.
    """
    found = _backend_of(path)
    if backend and found not in (backend, None):
        raise DataError(f"'{path}' is {_NAMES[found or LMDB]}, not {_NAMES[backend]}: give --backend {found}")
    if not (found or backend):
        raise DataError(f"'{path}' is neither an LMDB nor a LevelDB: it holds no {DATA_FILE} and no CURRENT")
    backend = found or backend or LMDB
    return backend, _open(path, backend)


def _backend_of(path: Path) -> str | None:
    """Which kind of database a folder looks like; None for neither.

    Raises:
        DataError: it is not a folder.
    """
    if not path.is_dir():
        hint = "a database is a folder"
        if not path.exists():
            hint = "there is nothing of this name"
        elif path.name in _FILES:
            hint = f"name the folder '{path.parent}', not its {path.name}"
        raise DataError(f"'{path}' is not a database: {hint}")
    if (path / DATA_FILE).exists():
        return LMDB
    return LEVELDB if (path / CURRENT_FILE).exists() else None


def _open(path: Path, backend: str) -> Reader:
    check_whole(path)
    return LmdbReader(path) if backend == LMDB else LevelDbReader(path)
