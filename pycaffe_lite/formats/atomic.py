"""Files that are whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
import secrets
import stat
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from functools import lru_cache
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import FileLookupError, PycaffeError
from pycaffe_lite.proto import paths

StrPath = str | os.PathLike[str]

# A temporary file that nobody has written to for so long is nobody's, wherever its writer ran.
_ABANDONED_SECONDS = 24 * 3600.0
# What a name may add to that of its file: file systems take names of 255 bytes.
_LONGEST_STEM = 200
# The temporary files that threads of this process are writing.
_in_the_making: set[str] = set()

# Of a fingerprint.
_SAMPLES, _SAMPLE_BYTES = 64, 1024


# ------------------------------------------------------------------------------------------------ writing


@contextlib.contextmanager
def atomic_write(path: StrPath, *, error: type[PycaffeError] = PycaffeError) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes its name only once all of it is on the disk.

    The bytes go to a temporary file in the same folder, which is flushed, synced and renamed at the end;
    the folder is synced too. Whatever happens before that, a file that had the name keeps it, untouched.
    If the name is a link, this holds for the file that it leads to.
    Threads, processes and machines may write to one name at once: each succeeds, and the last one's stays.

    Args:
        path: of the file to be.
        error: class of the error raised if the file cannot be written.

    Yields:
        The open binary file, which can be read as well.

    Raises:
        PycaffeError: (as `error`) the folder is not there or read-only, the disk is full.
    """
    with atomic_path(path, error=error) as temporary, open(temporary, "w+b") as file:
        yield file
        file.flush()


@contextlib.contextmanager
def atomic_path(path: StrPath, *, error: type[PycaffeError] = PycaffeError) -> Iterator[Path]:
    """As `atomic_write`, for libraries that open their files by name: yields the temporary path."""
    target = paths.target_of(path, error)
    temporary = temporary_path(target)
    _in_the_making.add(temporary.name)
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
    finally:
        _in_the_making.discard(temporary.name)


def temporary_path(target: Path) -> Path:
    """A name beside `target` that no other thread, process or machine uses, and that tells its writer.

    `.NAME.PLACE-PID-RANDOM.tmp`, where PLACE stands for the machine, see `_place`.
    """
    return target.with_name(f"{_stem(target)}{_place()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _stem(target: Path) -> str:
    return f".{os.fsdecode(os.fsencode(target.name)[:_LONGEST_STEM])}."


@lru_cache(maxsize=1)
def _place() -> str:
    """Eight digits for where this process has its number: the host, its start, the pid namespace.

    Machines that share a folder may have processes of equal numbers, and so may the containers of one.
    """
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return f"{zlib.crc32(chr(0).join(parts).encode()):08x}"


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
    leftover = re.compile(re.escape(_stem(target)) + r"(?:([0-9a-f]{8})-)?(\d+)-[0-9a-f]{8}\.tmp")
    for name in os.listdir(target.parent):
        match = leftover.fullmatch(name)
        if match and name not in _in_the_making:
            file = target.with_name(name)
            with contextlib.suppress(OSError):
                here = match[1] == _place()
                if (here and not _is_running(int(match[2]))) or _is_abandoned(file):
                    file.unlink()


def _is_running(process: int) -> bool:
    if process == os.getpid():
        return False  # an earlier one of the same number: ours are in _in_the_making
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


def _is_abandoned(file: Path) -> bool:
    return time.time() - file.stat().st_mtime > _ABANDONED_SECONDS


def set_aside(path: Path) -> Path | None:
    """Renames a file that is about to be written anew.

    `run.log` becomes `run.log.1`; if there is one already, `run.log.2`, and so on: the highest number is
    the latest.

    Returns:
        Its new path; None if there is no file, an empty one, or something else, such as a device.

    Raises:
        PycaffeError: it cannot be renamed.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return None
        numbers = [_number_behind(path.name, name) for name in os.listdir(path.parent)]
        number = 1 + max(numbers, default=0)
        while True:
            kept = path.with_name(f"{path.name}.{number}")
            try:
                # Taking the name first keeps two processes from taking the same one.
                os.close(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                number += 1
                continue
            os.replace(path, kept)
            return kept
    except FileNotFoundError:
        return None
    except OSError as failure:
        raise PycaffeError(f"cannot rename '{path}' to keep it: {reason(failure)}") from None


def _number_behind(stem: str, name: str) -> int:
    number = name[len(stem) + 1 :]
    counts = name.startswith(f"{stem}.") and number.isascii() and number.isdigit() and len(number) < 10
    return int(number) if counts else 0


# ------------------------------------------------------------------------------------------------ reading


def open_regular(path: StrPath, *, error: type[PycaffeError]) -> FileIO:
    """Opens a file of any size to be read; see `proto.paths.open_regular`.

    Raises:
        FileLookupError: the file is not there.
        PycaffeError: (as `error`) it is not a regular file, or may not be read.
    """
    if "\0" in os.fsdecode(path):  # to which Python answers with a ValueError
        raise FileLookupError(f"no such file: '{path}'")
    return paths.open_regular(path, sys.maxsize, "weights or a snapshot", error=error)


def read_bytes(path: StrPath, *, error: type[PycaffeError]) -> npt.NDArray[np.uint8]:
    """The whole file, as read-only bytes that arrays can view.

    A copy rather than a memory map: were the file shortened while in use, a map would kill the process.

    Raises:
        FileLookupError: the file is not there.
        PycaffeError: (as `error`) it is not a regular file, is larger than the machine's memory, may not be
            read, or reading fails.
    """
    with open_regular(path, error=error) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            if size > _memory():
                raise error(f"cannot read '{path}': it has {size} bytes, more than this machine's memory")
            data = np.empty(size, np.uint8)
            done = 0
            while done < size and (count := file.readinto(data.data[done:])):
                done += count
        except OSError as failure:
            raise error(f"cannot read '{path}': {reason(failure)}") from None
    data = data[:done]
    data.flags.writeable = False
    return data


def _memory() -> float:
    """Bytes of the machine's memory; infinite if the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


def fingerprint(file: BinaryIO | FileIO) -> bytes:
    """A short check of an open file: its size and a sample of its bytes from all over.

    It tells the weights of two runs, or of two moments of a run, from each other without reading them whole.
    """
    size = file.seek(0, os.SEEK_END)
    crc = zlib.crc32(b"")
    for i in range(_SAMPLES):
        file.seek(i * max(size - _SAMPLE_BYTES, 0) // (_SAMPLES - 1))
        crc = zlib.crc32(file.read(_SAMPLE_BYTES), crc)
    file.seek(0, os.SEEK_END)
    return struct.pack("<QI", size, crc)


def fingerprint_of(path: StrPath, *, error: type[PycaffeError]) -> bytes:
    """The fingerprint of a file.

    Raises:
        FileLookupError: the file is not there. PycaffeError: (as `error`) it cannot be read.
    """
    with open_regular(path, error=error) as file:
        try:
            return fingerprint(file)
        except OSError as failure:
            raise error(f"cannot read '{path}': {reason(failure)}") from None
