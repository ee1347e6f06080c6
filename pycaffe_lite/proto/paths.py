"""Finding and opening the files that a prototxt names."""

from __future__ import annotations

import os
import re
import select
import stat
from collections.abc import Iterator
from functools import lru_cache
from io import FileIO
from pathlib import Path

from pycaffe_lite.errors import FileLookupError, PycaffeError
from pycaffe_lite.proto.text_strings import BACKSLASH

StrPath = str | os.PathLike[str]

# What `command <(other command)` and `other command | command /dev/stdin` make of a file's name.
_PIPES = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
# How long a pipe may be silent before it counts as one that nobody writes to.
_SILENT_SECONDS = 30.0
_KINDS = {
    stat.S_IFDIR: "Is a directory",
    stat.S_IFCHR: "it is a device, not a file",
    stat.S_IFBLK: "it is a device, not a file",
    stat.S_IFIFO: "it is a pipe, not a file",
    stat.S_IFSOCK: "it is a socket, not a file",
}
_MIB = 2**20
_PART = 2**16  # bytes read at once: as many as a pipe holds
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CONTROLS = re.compile(r"[\x00-\x1f]")


def resolve(name: StrPath, near: Path | None = None) -> Path:
    """Finds a file or folder that a prototxt names.

    As in Caffe, a relative name is meant from the working directory. If nothing is there, the
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
    is_absolute = os.path.isabs(given)
    if near is not None and not is_absolute:
        for folder in _upwards(os.path.abspath(near)):
            if os.path.exists(os.path.join(folder, given)):
                return folder / given
    escapes = _escapes_in(str(given))
    if is_absolute:
        raise FileLookupError(f"no such file: {str(given)!r}{escapes}")
    tried = list(dict.fromkeys([Path.cwd(), *upwards(near)]))
    where = escapes or f" (looked in {', '.join(map(str, tried))})"
    raise FileLookupError(f"no such file: {str(given)!r}{where}")


def _escapes_in(name: str) -> str:
    """What to add to an error if escapes were read in a name: it may be a path of Windows."""
    escapes = dict.fromkeys(repr(character)[1:-1] for character in _CONTROLS.findall(name))
    if not escapes:
        return ""
    return f", with {' and '.join(escapes)} read as one character each: {BACKSLASH}"


def upwards(folder: Path | None) -> Iterator[Path]:
    """The folder and those above it."""
    if folder is not None:
        yield from _upwards(os.path.abspath(folder))


@lru_cache(maxsize=64)  # a list of pictures is looked for name by name
def _upwards(folder: str) -> tuple[Path, ...]:
    path = Path(folder)
    return (path, *path.parents)


def read_regular(
    path: StrPath, limit: int, what: str, *, error: type[PycaffeError] = FileLookupError, pipes: bool = False
) -> bytes:
    """The bytes of a file; see `open_regular`.

    Args:
        path, limit, what, error: as there.
        pipes: whether the file may also be a pipe that the shell makes, `<(...)` or /dev/stdin.
    """
    descriptor, status = _open(path, limit, what, error, pipes)
    try:
        content = _read_within(descriptor, status, limit)
    except OSError as problem:
        raise error(f"cannot read '{path}': {problem.strerror or problem}") from None
    finally:
        os.close(descriptor)
    if content is None:
        raise _too_large(path, limit, what, error)
    return content


def read_at_once(name: str, near: Path | None, limit: int) -> bytes | None:
    """The bytes of the file that `resolve` finds, with as few calls as there can be.

    Args:
        name, near: as for `resolve`. limit: the most bytes that the file may have.

    Returns:
        None where there is no such file, or anything is unusual about it: `resolve` and `read_regular` tell
        what, or read it all the same.
    """
    folders: list[str] = [""]
    if near is not None and not os.path.isabs(name):
        folders += map(str, _upwards(os.path.abspath(near)))
    for folder in folders:
        path = os.path.join(folder, name)
        try:
            size = _size_of(os.stat(path), limit)
        except (OSError, ValueError):
            continue
        if size is None:
            return None
        try:
            descriptor = os.open(path, _FLAGS)
        except OSError:
            return None
        try:
            content = os.read(descriptor, size + 1) if _size_of(os.fstat(descriptor), limit) == size else b""
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return content if len(content) == size else None
    return None


def _size_of(status: os.stat_result, limit: int) -> int | None:
    """The bytes of a file; None where it has none, or too many, or is no file."""
    return status.st_size if stat.S_ISREG(status.st_mode) and 0 < status.st_size <= limit else None


def open_regular(
    path: StrPath, limit: int, what: str, *, error: type[PycaffeError] = FileLookupError, pipes: bool = False
) -> FileIO:
    """Opens a file that somebody names, say in a prototxt, for reading.

    A device may never end, and opening a named pipe waits for somebody who writes: both are refused.

    Args:
        path: of the file. limit: the most bytes that the wanted file may have.
        what: is wanted, "a prototxt", for the error.
        error: class of the error raised if the file cannot be read.
        pipes: as for `read_regular`.

    Returns:
        The open file, without a buffer.

    Raises:
        FileLookupError: there is no such file. PycaffeError: (as `error`) it is not a file,
            may not be read, or is too large.
    """
    return FileIO(_open(path, limit, what, error, pipes)[0])


def _open(
    path: StrPath, limit: int, what: str, error: type[PycaffeError], pipes: bool
) -> tuple[int, os.stat_result]:
    """The descriptor of a file, opened as by `open_regular`, and what the system says of it."""
    by_shell = pipes and os.fspath(path).startswith(_PIPES)
    try:
        # A device is not even opened: that alone may have an effect. One that takes the place of a file after
        # this line is found out below.
        if not by_shell:
            _check_kind(path, os.stat(path), error)
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        hint = "; standard input is /dev/stdin" if os.fspath(path) == "-" else ""
        raise FileLookupError(f"no such file: '{path}'{hint}") from None
    except OSError as problem:
        raise error(f"cannot read '{path}': {problem.strerror or problem}") from None
    except ValueError as problem:  # no file can have such a name
        raise FileLookupError(f"cannot read '{path}': {problem}") from None
    try:
        status = os.fstat(descriptor)
        if not (by_shell and stat.S_ISFIFO(status.st_mode)):
            _check_kind(path, status, error)
        if status.st_size > limit:
            raise _too_large(path, limit, what, error)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def _check_kind(path: StrPath, status: os.stat_result, error: type[PycaffeError]) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise error(f"cannot read '{path}': {_KINDS.get(kind, 'it is not a file')}")


def _too_large(path: StrPath, limit: int, what: str, error: type[PycaffeError]) -> PycaffeError:
    return error(f"cannot read '{path}': more than {limit // _MIB} MiB is too much for {what}")


def _read_within(descriptor: int, status: os.stat_result, limit: int) -> bytes | None:
    """All bytes of an open file; None if there are more than `limit`.

    Raises:
        OSError: reading fails, or nobody writes to a pipe.
    """
    parts: list[bytes] = []
    room = limit + 1
    is_pipe = stat.S_ISFIFO(status.st_mode)
    # Files like those of /proc say that they have no bytes.
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    at_once = size + 1 if size else _PART  # with the byte more, a file's end is seen at once
    while room:
        if is_pipe and not select.select([descriptor], [], [], _SILENT_SECONDS)[0]:
            raise OSError(f"nothing has come through the pipe for {_SILENT_SECONDS:g} seconds")
        try:
            part = os.read(descriptor, min(room, at_once))
        except BlockingIOError:  # a file like those of /proc, which waits for what the system will say
            raise OSError("there is nothing to read") from None
        if not part:
            return b"".join(parts)
        if len(part) == size < room and not parts:
            return part
        parts.append(part)
        room -= len(part)
    return None


def target_of(path: StrPath, error: type[PycaffeError]) -> Path:
    """The path at which to write a file: the one to which links of its name lead.

    Raises:
        PycaffeError: (as `error`) the name is that of a device or the like, which must not be replaced.
    """
    target = Path(os.path.realpath(path))
    if not target.name:
        raise error(f"cannot write '{path}': {_KINDS[stat.S_IFDIR]}")
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):  # nothing there; what is wrong with the folder is found when writing
        return target
    if kind not in (stat.S_IFREG, stat.S_IFDIR):
        raise error(f"cannot write '{path}': {_KINDS.get(kind, 'it is not a file')}")
    return target
