"""Opening the database that a `data_param` names."""

from __future__ import annotations

from pathlib import Path

from pycaffe_lite.data.lmdb_reader import DATA_FILE, LmdbReader
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2

# Names of files within a database that people give for the database.
_FILES = (DATA_FILE, "lock.mdb", "CURRENT")


def open_database(path: Path, backend: int) -> LmdbReader:
    """A reader at the first record of a database.

    Args:
        path: its folder.
        backend: caffe_pb2.DataParameter.LMDB; LEVELDB, Caffe's default, is refused.

    Raises:
        DataError: it is not a folder, the backend is LEVELDB, or it holds no LMDB that can be read.
    """
    if not path.is_dir():
        hint = "a database is a folder"
        if path.name in _FILES:
            hint = f"name the folder '{path.parent}', not its {path.name}"
        raise DataError(f"'{path}' is not a database: {hint}")
    is_lmdb = (path / DATA_FILE).exists()
    if backend != caffe_pb2.DataParameter.LMDB:
        if is_lmdb:
            raise DataError(
                f"data_param.backend is LEVELDB, its default, but '{path}' is an LMDB: write 'backend: LMDB'"
            )
        raise DataError(
            f"data_param.backend is LEVELDB, which is not supported: convert '{path}' to an LMDB and write "
            "'backend: LMDB'"
        )
    if not is_lmdb and (path / "CURRENT").exists():
        raise DataError(f"'{path}' is a LevelDB, which is not supported: convert it to an LMDB")
    return LmdbReader(path)
