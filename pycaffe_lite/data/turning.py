"""Pictures turned by an angle, as OpenCV turns them: the rectangle about them, and their pixels in it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pycaffe_lite.kernels import float_pictures

Floats = npt.NDArray[np.float32]
Size = tuple[int, int]  # height and width

_FIXED = 1024  # of the places that pixels are read at: a 1024th counts


def corners(center: tuple[float, float], size: Size, degrees: float) -> Floats:
    """The corners, (4, 2), of a rectangle that is turned about its centre, x before y."""
    b = np.float32(math.cos(math.radians(degrees))) * np.float32(0.5)
    a = np.float32(math.sin(math.radians(degrees))) * np.float32(0.5)
    h, w = np.float32(size[0]), np.float32(size[1])
    x, y = np.float32(center[0]), np.float32(center[1])
    first, second = (x - a * h - b * w, y + b * h - a * w), (x + a * h - b * w, y - b * h - a * w)
    opposite = [(2 * x - px, 2 * y - py) for px, py in (first, second)]
    return np.array([first, second, *opposite], np.float32)


def size_about(center: tuple[float, float], size: Size, degrees: float) -> Size:
    """Height and width of the smallest upright rectangle of whole pixels about a turned one."""
    found = corners(center, size, degrees)
    least, most = np.floor(found.min(axis=0)), np.ceil(found.max(axis=0))
    width, height = (most - least + 1).astype(int).tolist()
    return height, width


def warped(pixels: Floats, matrix: npt.NDArray[np.floating], size: Size) -> Floats:
    """A picture whose places are moved by a matrix; what it does not cover is 0, and so are its last pixels.

    Args:
        pixels: (H, W, C), C-contiguous. matrix: (2, 3), from places of the picture to those of the new one, x
            before y. size: height and width of the new one.
    """
    height, width = size
    wide = matrix.astype(np.float64)
    inverse = np.linalg.inv(wide[:, :2])
    shift = -inverse @ wide[:, 2]
    x, y = np.arange(width), np.arange(height)
    half = _FIXED // 32 // 2
    out = np.zeros((height, width, pixels.shape[2]), np.float32)
    parts = []
    for i in range(2):
        both = np.zeros((2, max(width, height)), np.int64)
        both[0, :width] = np.rint(inverse[i, 0] * x * _FIXED)
        both[1, :height] = np.rint((inverse[i, 1] * y + shift[i]) * _FIXED) + half
        parts.append(both)
    float_pictures.affine(pixels, parts[0], parts[1], out)
    return out
