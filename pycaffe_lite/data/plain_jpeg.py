"""Ordinary JPEGs by Pillow's decoder alone.

Around its decoder, Pillow opens a file: it reads all that may stand at the beginning in Python, which takes a
tenth of the time of a small picture, and no other thread of Python runs meanwhile. What a decoder needs is
found by a kernel here. Whatever is out of the ordinary, or goes wrong, is left to Pillow's own way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import arrow
from pycaffe_lite.kernels.jpeg_header import frame

_GRAY, _COLOR = 1, 3  # channels


def decode(encoded: bytes, color: bool | None, max_pixels: int) -> npt.NDArray[np.uint8] | None:
    """Decodes a JPEG, if it is whole and ordinary.

    Args:
        encoded: the file's bytes.
        color: True: as a picture of three channels; False: of one; None: as many as the file has.
        max_pixels: a picture of more is not decoded.

    Returns:
        (H, W, 4): red, green, blue and a byte without meaning; or (H, W, 1); None for a file that must be
        decoded otherwise.
    """
    parts = _pillow()
    found = np.empty(4, np.int64)
    if parts is None or not frame(np.frombuffer(encoded, np.uint8), found):
        return None
    height, width, channels, may_be_turned = found.tolist()
    if height * width > max_pixels or (may_be_turned and color is not None):
        return None
    if channels == _COLOR:
        mode, count = ("L", 1) if color is False else ("RGB", 4)
    elif channels == _GRAY and not color:
        mode, count = "L", 1
    else:
        return None
    new, decoder_of = parts
    picture = new(mode, (width, height))
    memory = arrow.bytes_of(picture, count * height * width)
    if memory is None:
        return None
    decoder = decoder_of(mode, "jpeg", (mode, ""), ())
    try:
        decoder.setimage(picture, (0, 0, width, height))
        used, problem = decoder.decode(encoded)
    finally:
        decoder.cleanup()
    is_whole = used < 0 <= problem  # otherwise it asks for more bytes
    return memory.reshape(height, width, count) if is_whole else None


@cache
def _pillow() -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """What Pillow makes a picture's memory and a decoder by; None where it has no such functions."""
    try:
        from PIL import Image, _imaging

        return _imaging.new, Image._getdecoder
    except (ImportError, AttributeError):
        return None
