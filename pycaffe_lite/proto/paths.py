"""Where the files are that a prototxt names, and opening those that are files."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pycaffe_lite.errors import FileLookupError, PycaffeError

StrPath = str | os.PathLike[str]

# What `command <(other command)` and `other command | command /dev/stdin` make of a file's name.
_PIPES = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
# How long a pipe may be silent before it counts as one that nobody writes to.
_SILENT_SECONDS = 30.0
_KINDS = {
    stat.S_IFDIR: "Is a directory",
    stat.S_IFCHR: "it is a device, not a file",
    stat.S_IFBLK: "it is a device, not a file",
    stat.S_IFIFO: "it is a named pipe, not a file",
    stat.S_IFSOCK: "it is a socket, not a file",
}
_MIB = 2**20
_PART = 2**16  # bytes read at once: as many as a pipe holds


def resolve(name: StrPath, near: Path | None = None) -> Path:
    """Finds a file or folder that a prototxt names.

    As in Caffe, a relative name is meant from the working directory. Where nothing is there, the
    prototxt's own folder is tried and then each folder above it, so that a checkout whose prototxts
    name files from its root works from anywhere.

    Args:
        name: the name as it stands in the prototxt. near: the prototxt's folder, if there is one.

    Returns:
        The first path at which there is something.

    Raises:
        FileLookupError: there is nothing at any of them; the message lists the folders tried.
    """
    given = Path(name)
    if not os.fspath(name):
        raise FileLookupError("a file name is empty")
    if os.path.exists(given):
        return given
    if given.is_absolute():
        raise FileLookupError(f"no such file: {str(given)!r}")
    tried = [Path.cwd()]
    for folder in _upwards(near):
        if os.path.exists(folder / given):
            return folder / given
        if folder not in tried:
            tried.append(folder)
    raise FileLookupError(f"no such file: {str(given)!r} (looked in {', '.join(map(str, tried))})")


def _upwards(folder: Path | None) -> Iterator[Path]:
    """The folder and those above it."""
    if folder is not None:
        folder = Path(os.path.abspath(folder))
        yield folder
        yield from folder.parents


def read_regular(
    path: StrPath, limit: int, what: str, *, error: type[PycaffeError] = FileLookupError
) -> bytes:
    """The bytes of a file; see `open_regular`.

    Raises:
        FileLookupError: there is no such file. PycaffeError: (as `error`) it cannot be read, or is too large.
    """
    with open_regular(path, limit, what, error=error) as file:
        try:
            content = read_within(file, limit)
        except OSError as problem:
            raise error(f"cannot read '{path}': {problem.strerror or problem}") from None
    if content is None:
        raise too_large(path, limit, what, error)
    return content


@contextmanager
def open_regular(
    path: StrPath, limit: int, what: str, *, error: type[PycaffeError] = FileLookupError
) -> Iterator[BinaryIO]:
    """Opens a file that somebody names, say in a prototxt, for reading.

    A device may never end, and opening a named pipe waits for somebody who writes: both are refused. Pipes
    that the shell makes, `<(...)` and /dev/stdin, may be read.

    Args:
        path: of the file. limit: the number of bytes from which on it cannot be what is wanted.
        what: is wanted, "a prototxt", for the error.
        error: class of the error raised where the file cannot be read.

    Yields:
        The open binary file, without a buffer.

    Raises:
        FileLookupError: there is no such file. PycaffeError: (as `error`) it is something else than a file,
            may not be read, or is too large.
    """
    try:
        _check_kind(path, os.stat(path), limit, what, error)
        # Another thing may have taken the place meanwhile: it must not make the program wait either.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        hint = "; standard input is /dev/stdin" if os.fspath(path) == "-" else ""
        raise FileLookupError(f"no such file: '{path}'{hint}") from None
    except OSError as problem:
        raise error(f"cannot read '{path}': {problem.strerror or problem}") from None
    except ValueError as problem:  # no file can have such a name
        raise FileLookupError(f"cannot read '{path}': {problem}") from None
    with open(descriptor, "rb", buffering=0) as file:
        _check_kind(path, os.fstat(file.fileno()), limit, what, error)
        yield file


def _check_kind(
    path: StrPath, status: os.stat_result, limit: int, what: str, error: type[PycaffeError]
) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        if status.st_size > limit:
            raise too_large(path, limit, what, error)
    elif kind != stat.S_IFIFO or not os.fspath(path).startswith(_PIPES):
        raise error(f"cannot read '{path}': {_KINDS.get(kind, 'it is not a file')}")


def too_large(path: StrPath, limit: int, what: str, error: type[PycaffeError]) -> PycaffeError:
    """The error for a file that has more bytes than the limit."""
    return error(f"cannot read '{path}': it is larger than {limit // _MIB} MiB, which is no size for {what}")


def read_within(file: BinaryIO, limit: int) -> bytes | None:
    """What is left of a file that `open_regular` has opened; None where that is more than `limit` bytes.

    Raises:
        OSError: reading fails, or the file is a pipe to which nobody writes.
    """
    parts: list[bytes] = []
    room = limit + 1
    is_pipe = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
    while room:
        if is_pipe and not select.select([file], [], [], _SILENT_SECONDS)[0]:
            raise OSError(f"nothing has come through the pipe for {_SILENT_SECONDS:g} seconds")
        part = file.read(min(room, _PART))
        if part is None:  # nothing to read after all
            continue
        if not part:
            return b"".join(parts)
        parts.append(part)
        room -= len(part)
    return None
