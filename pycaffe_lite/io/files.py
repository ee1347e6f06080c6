"""Files that are whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.proto.paths import open_regular, target_of

StrPath = str | os.PathLike[str]

# Bytes of the largest file that is read into memory: 4e9 weights.
LARGEST = 2**34


@contextlib.contextmanager
def atomic_write(path: StrPath, *, error: type[PycaffeError] = PycaffeError) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes its name only once all of it is on the disk.

    The bytes go to a temporary file in the same folder, which is flushed, synced and renamed at the end;
    the folder is synced too. Whatever happens before that, a file that had the name keeps it, untouched.
    Where the name is a link, this is true of the file that it leads to.

    Args:
        path: of the file to be.
        error: class of the error raised where the file cannot be written.

    Yields:
        The open binary file.

    Raises:
        PycaffeError: (as `error`) the folder is not there or read-only, the disk is full.
    """
    with atomic_path(path, error=error) as temporary, open(temporary, "wb") as file:
        yield file
        file.flush()


@contextlib.contextmanager
def atomic_path(path: StrPath, *, error: type[PycaffeError] = PycaffeError) -> Iterator[Path]:
    """As `atomic_write`, for libraries that open their files by name: yields the temporary path."""
    target = target_of(path, error)
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        _remove_leftovers(target)
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, target)
            _sync(target.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as failure:
        raise error(f"cannot write '{path}': {reason(failure)}") from None


def reason(failure: OSError) -> str:
    """What an OSError says, without its number and file name."""
    return failure.strerror or str(failure)


def _sync(path: Path) -> None:
    """Waits until the file's bytes, or the folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(target: Path) -> None:
    """Removes what killed processes left of earlier attempts to write this file."""
    prefix = f".{target.name}."
    for entry in os.scandir(target.parent):
        if entry.name.startswith(prefix) and entry.name.endswith(".tmp"):
            writer = entry.name[len(prefix) :].partition("-")[0]
            if writer.isdigit() and not _is_running(int(writer)):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return process != os.getpid()  # an earlier process of the same number: containers start anew at 1


def read_bytes(path: StrPath, *, error: type[PycaffeError]) -> npt.NDArray[np.uint8]:
    """The whole file, as read-only bytes that arrays can view.

    A copy rather than a memory map: were the file shortened while in use, a map would kill the process.

    Raises:
        FileLookupError: the file is not there.
        PycaffeError: (as `error`) it is a folder, a device or a pipe, may not be read, is too large, or
            reading fails.
    """
    with open_regular(path, LARGEST, "weights or a snapshot", error=error) as file:
        try:
            data = _read_all(file)
        except OSError as failure:
            raise error(f"cannot read '{path}': {reason(failure)}") from None
    data.flags.writeable = False
    return data


def _read_all(file: FileIO) -> npt.NDArray[np.uint8]:
    size = os.fstat(file.fileno()).st_size
    data = np.empty(size, np.uint8)
    done = 0
    while done < size:
        count = file.readinto(data.data[done:])
        if not count:
            return data[:done]
        done += count
    return data
