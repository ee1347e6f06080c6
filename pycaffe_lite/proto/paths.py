"""Where the files are that a prototxt names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from pycaffe_lite.errors import FileLookupError
from pycaffe_lite.proto.text_strings import BACKSLASH

_CONTROLS = re.compile(r"[\x00-\x1f]")


def resolve(name: str | os.PathLike[str], near: Path | None = None) -> Path:
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
    escapes = _escapes_in(str(given))
    if given.is_absolute():
        raise FileLookupError(f"no such file: {str(given)!r}{escapes}")
    tried = [Path.cwd()]
    for folder in _upwards(near):
        if os.path.exists(folder / given):
            return folder / given
        if folder not in tried:
            tried.append(folder)
    where = escapes or f" (looked in {', '.join(map(str, tried))})"
    raise FileLookupError(f"no such file: {str(given)!r}{where}")


def _escapes_in(name: str) -> str:
    """What to add where escapes have been read in a name: it may be a path of Windows."""
    escapes = dict.fromkeys(repr(character)[1:-1] for character in _CONTROLS.findall(name))
    if not escapes:
        return ""
    return f", with {' and '.join(escapes)} read as one character each: {BACKSLASH}"


def _upwards(folder: Path | None) -> Iterator[Path]:
    """The folder and those above it."""
    if folder is not None:
        folder = Path(os.path.abspath(folder))
        yield folder
        yield from folder.parents
