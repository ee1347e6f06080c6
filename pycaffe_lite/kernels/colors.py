"""The order of colours in pixels."""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, serial_kernel


@serial_kernel
def bgr_of_rgbx(pixels: Array, out: Array) -> None:
    """Blue, green, red of pixels of red, green, blue and a byte without meaning.

    Args:
        pixels: (4 n,) uint8.
        out: (3 n,) uint8.
    """
    for i in range(pixels.size // 4):
        source, target = np.uint64(4 * i), np.uint64(3 * i)
        out[target] = pixels[source + np.uint64(2)]
        out[target + np.uint64(1)] = pixels[source + np.uint64(1)]
        out[target + np.uint64(2)] = pixels[source]


# LLVM makes vectors of these loops only where each row is contiguous, and where 3 and 4 stand there as such.
@kernel
def split_row(x: Array, step: int, planes: Array, h: int) -> None:
    """planes[c, h, w] is channel c of pixel w of a row.

    Args:
        x: (step · W,) uint8. Of three channels, their order is turned round where a pixel has 4 bytes.
        step: bytes of a pixel.
        planes: (C, H, W) uint8, of which row h is overwritten.
        h: the row.
    """
    C, width = planes.shape[0], planes.shape[2]
    if C == 3 and step == 3:
        first, second, third = planes[0, h], planes[1, h], planes[2, h]
        for w in range(width):
            first[w] = x[3 * w]
            second[w] = x[3 * w + 1]
            third[w] = x[3 * w + 2]
    elif C == 3:
        first, second, third = planes[0, h], planes[1, h], planes[2, h]
        for w in range(width):
            first[w] = x[4 * w + 2]
            second[w] = x[4 * w + 1]
            third[w] = x[4 * w]
    else:
        for c in range(C):
            plane = planes[c, h]
            for w in range(width):
                plane[w] = x[w * step + c]


# --------------------------------------------------------------------------------- hue, saturation and value

_SHIFT = 12  # of OpenCV's divisions
_HALF = 1 << (_SHIFT - 1)
_CIRCLE = 180  # of hues


@serial_kernel
def hsv_of_bgr(pixels: Array, out: Array) -> None:
    """Hue, 0 to 179, saturation and value of pixels of blue, green, red, as OpenCV rounds them.

    Args:
        pixels, out: (n, 3) uint8, may be the same.
    """
    for i in range(pixels.shape[0]):
        b, g, r = np.int64(pixels[i, 0]), np.int64(pixels[i, 1]), np.int64(pixels[i, 2])
        v = max(b, g, r)
        diff = v - min(b, g, r)
        s = 0
        if v:
            s = (diff * np.int64(np.rint((255 << _SHIFT) / v)) + _HALF) >> _SHIFT
        h = np.int64(0)
        if v == r:
            h = g - b
        elif v == g:
            h = b - r + 2 * diff
        else:
            h = r - g + 4 * diff
        if diff:  # otherwise h is 0
            h = (h * np.int64(np.rint((_CIRCLE << _SHIFT) / (6 * diff))) + _HALF) >> _SHIFT
        out[i, 0], out[i, 1], out[i, 2] = h + _CIRCLE if h < 0 else h, s, v


@serial_kernel
def bgr_of_hsv(pixels: Array, out: Array) -> None:
    """Blue, green, red of pixels of hue, saturation and value, in float32, halves rounded to even.

    Args:
        pixels, out: (n, 3) uint8, may be the same.
    """
    one, whole = np.float32(1), np.float32(255)
    for i in range(pixels.shape[0]):
        h = np.float32(pixels[i, 0]) * np.float32(6 / _CIRCLE)
        s, v = np.float32(pixels[i, 1]) / whole, np.float32(pixels[i, 2]) / whole
        sector = int(np.floor(h))
        h -= np.float32(sector)
        sector %= 6
        low, down, up = v * (one - s), v * (one - s * h), v * (one - s * (one - h))
        if sector == 0:
            b, g, r = low, up, v
        elif sector == 1:
            b, g, r = low, v, down
        elif sector == 2:
            b, g, r = up, v, low
        elif sector == 3:
            b, g, r = v, down, low
        elif sector == 4:
            b, g, r = v, low, up
        else:
            b, g, r = down, low, v
        out[i, 0], out[i, 1], out[i, 2] = np.rint(b * whole), np.rint(g * whole), np.rint(r * whole)
