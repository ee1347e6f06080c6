"""The rows that a decoder gives of a JPEG that is cut off, when it reads from memory."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.ImageFile import ImageFile


def repeat_last_row(picture: ImageFile, reopen: Callable[[], ImageFile]) -> None:
    """Puts the last row that a decoder gives in place of the rows that it does not give.

    Where a file ends too early, OpenCV's reader of files goes on without coefficients, which makes the rest
    of the picture grey. Its reader from memory, which Caffe uses for the records of a database, gets no more
    rows and copies the one it had last. (OpenCV 4.10 leaves the rest uninitialised, 4.12 refuses the
    picture.) A progressive JPEG gives no row before its end: it stays as it is.

    Args:
        picture: as it is read from a file, loaded; it is changed.
        reopen: opens the part of the file that is there; not loaded.
    """
    from PIL import Image

    given = _rows_given(reopen)
    width, height = picture.size
    if 0 < given < height:
        row = picture.crop((0, given - 1, width, given))
        picture.paste(row.resize((width, height - given), Image.Resampling.NEAREST), (0, given))


def _rows_given(reopen: Callable[[], ImageFile]) -> int:
    """The number of rows that the decoder writes before it asks for more of the file."""
    from PIL import Image

    # A row that is given is the same whatever was there before.
    canvases = []
    for value in (0, 255):
        part = reopen()
        canvas = Image.new(part.mode, part.size, (value,) * len(part.getbands()))
        part.im = canvas.im
        with contextlib.suppress(OSError):  # "image file is truncated"
            part.load()
        canvases.append(np.asarray(canvas))
    differs = (canvases[0] != canvases[1]).reshape(len(canvases[0]), -1).any(axis=1)
    return int(differs.argmax()) if differs.any() else len(differs)
