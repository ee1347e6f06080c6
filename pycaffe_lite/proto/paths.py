"""Where the files are that a prototxt names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pycaffe_lite.errors import FileLookupError


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
