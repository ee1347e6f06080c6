"""Databases that are whole or not there: filled beside their place, then moved into it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

from pycaffe_lite.data.lmdb_pages import key_text
from pycaffe_lite.errors import DataError
from pycaffe_lite.formats.atomic import reason


class Writer(Protocol):
    """Adds records to a database; they are there for good with each `commit`.

    What fails raises a DataError.

    Attributes:
        records: how many have been committed. last_key: the greatest key of the database.
    """

    records: int
    last_key: bytes

    def put(self, key: bytes, value: bytes) -> None:
        """Adds a record; commits those that have come together."""

    def commit(self) -> None:
        """Brings all records to the disk."""

    def close(self) -> None:
        """Closes the database; what has not been committed is lost."""


class Kind(Protocol):
    """A class of writers."""

    FILES: frozenset[str]  # names in a database's folder
    NAME: str  # "an LMDB"

    def __call__(self, path: Path, shown: Path) -> Writer:
        """A writer for the folder `path`, which errors call `shown`."""


def write_whole(path: Path, records: Iterable[tuple[bytes, bytes]], kind: Kind) -> int:
    """Writes records as a database; it is there whole, or not at all.

    It is made in a temporary folder beside its place, and takes the place of a database of that name.

    Args:
        path: the folder that the database will be; those above it are made.
        records: keys and values; the keys ascend (as bytes).
        kind: of the database.

    Returns:
        The number of records.

    Raises:
        DataError: the folder cannot be written, or its name belongs to something else; keys do not ascend.
    """
    if not _is_replaceable(path, kind.FILES):
        raise DataError(
            f"cannot write '{path}': something else than {kind.NAME} has this name; remove or rename it"
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.mkdir()
            count = _fill(kind(temporary, path), records)
            _move_into_place(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise DataError(f"cannot write '{path}': {reason(error)}") from None
    return count


def _fill(writer: Writer, records: Iterable[tuple[bytes, bytes]]) -> int:
    last_key = b""
    try:
        for key, value in records:
            if key <= last_key:
                raise DataError(f"keys must ascend, but '{key_text(key)}' does not")
            writer.put(key, value)
            last_key = key
        writer.commit()
    finally:
        writer.close()
    return writer.records


def _is_replaceable(path: Path, files: Collection[str]) -> bool:
    if path.is_dir():
        return {entry.name for entry in path.iterdir()} <= set(files)
    return not os.path.lexists(path)


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
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Waits until a folder's entries are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
