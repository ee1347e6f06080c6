"""Writing LMDB databases that Caffe reads."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import lmdb

from pycaffe_lite.data.lmdb_pages import key_text
from pycaffe_lite.data.lmdb_reader import DATA_FILE
from pycaffe_lite.errors import DataError
from pycaffe_lite.formats.atomic import reason

_FIRST_MAP_BYTES = 16 << 20
_RECORDS_PER_COMMIT = 10_000
_FILES_OF_A_DATABASE = {DATA_FILE, "lock.mdb"}


def write_lmdb(path: Path, records: Iterable[tuple[bytes, bytes]]) -> int:
    """Writes records as an LMDB; the database is there whole, or not at all.

    It is made in a temporary folder beside its place, and takes the place of a database of that name.

    Args:
        path: the folder that the database will be.
        records: keys and values; the keys ascend (as bytes).

    Returns:
        The number of records.

    Raises:
        DataError: the folder cannot be written, or its name belongs to something that is not an LMDB; keys do
            not ascend.
    """
    _check_replaceable(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            count = _fill(temporary, records)
            _move_into_place(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise DataError(f"cannot write '{path}': {reason(error)}") from None
    except lmdb.Error as error:
        raise DataError(f"cannot write '{path}': {error}") from None
    return count


def _check_replaceable(path: Path) -> None:
    if path.is_dir():
        others = {entry.name for entry in path.iterdir()} - _FILES_OF_A_DATABASE
        if not others:
            return
    elif not os.path.lexists(path):
        return
    raise DataError(f"cannot write '{path}': something else than an LMDB has this name; remove or rename it")


def _fill(path: Path, records: Iterable[tuple[bytes, bytes]]) -> int:
    environment = lmdb.open(str(path), map_size=_FIRST_MAP_BYTES, sync=False, lock=False)
    try:
        count = 0
        rest = iter(records)
        while block := list(islice(rest, _RECORDS_PER_COMMIT)):
            _put(environment, block)
            count += len(block)
        environment.sync(True)
    finally:
        environment.close()
    return count


def _put(environment: lmdb.Environment, block: list[tuple[bytes, bytes]]) -> None:
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, value in block:
                    # Appending packs the pages full and in order.
                    if not transaction.put(key, value, append=True):
                        raise DataError(f"keys must ascend, but '{key_text(key)}' does not")
            return
        except lmdb.MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])


def _move_into_place(temporary: Path, path: Path) -> None:
    """Gives a finished folder its name; a folder can only be renamed to a name that is free or empty."""
    old = temporary.with_suffix(".old")
    replaces = path.exists()
    if replaces:
        os.rename(path, old)
    try:
        os.rename(temporary, path)
    except OSError:
        if replaces:
            os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
