"""Pictures of float32 values: resized, turned, and in other colours, as OpenCV's functions do it."""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, serial_kernel

_TABLE_BITS = 5  # of the fraction of a place, of which 32 steps are told apart
_EPSILON = np.float32(np.finfo(np.float32).eps)


@serial_kernel
def taps(
    pixels: Array, rows: Array, row_weights: Array, columns: Array, column_weights: Array, out: Array
) -> None:
    """Each value of `out` from k x k values of `pixels`: first along the rows, then along the columns.

    Args:
        pixels: (H, W, C) float32.
        rows: (height, k), which rows of `pixels` each row of `out` is made of.
        row_weights: (height, k) float32, theirs.
        columns, column_weights: (width, k), the same of the columns.
        out: (height, width, C) float32.
    """
    height, width, C = out.shape
    k = rows.shape[1]
    made = np.empty((pixels.shape[0], width, C), np.float32)
    for y in range(pixels.shape[0]):
        for x in range(width):
            for c in range(C):
                total = np.float32(0)
                for i in range(k):
                    total += pixels[y, columns[x, i], c] * column_weights[x, i]
                made[y, x, c] = total
    for y in range(height):
        for x in range(width):
            for c in range(C):
                total = np.float32(0)
                for i in range(k):
                    total += made[rows[y, i], x, c] * row_weights[y, i]
                out[y, x, c] = total


@serial_kernel
def affine(pixels: Array, across: Array, along: Array, out: Array) -> None:
    """Values of `out` at places of `pixels` between four pixels, by their distances; others stay.

    The place of out[y, x] is (across[0, x] + across[1, y], along[0, x] + along[1, y]) / 1024, column and row,
    rounded down to a 32nd.

    Args:
        pixels: (H, W, C) float32.
        across, along: two rows each, of `width` and `height` values at least, int64.
        out: (height, width, C) float32.
    """
    H, W, C = pixels.shape
    steps = 1 << _TABLE_BITS
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            at_x = (across[0, x] + across[1, y]) >> _TABLE_BITS
            at_y = (along[0, x] + along[1, y]) >> _TABLE_BITS
            left, top = at_x >> _TABLE_BITS, at_y >> _TABLE_BITS
            if not (0 <= left < W - 1 and 0 <= top < H - 1):
                continue
            v = np.float32(at_x & (steps - 1)) / np.float32(steps)
            w = np.float32(at_y & (steps - 1)) / np.float32(steps)
            one = np.float32(1)
            for c in range(C):
                above = pixels[top, left, c] * ((one - v) * (one - w)) + pixels[top, left + 1, c] * (
                    v * (one - w)
                )
                below = pixels[top + 1, left, c] * ((one - v) * w) + pixels[top + 1, left + 1, c] * (v * w)
                out[y, x, c] = above + below


@serial_kernel
def recolored(pixels: Array, rotation: float, saturation: float) -> None:
    """Turns the hue of pixels of blue, green, red, and multiplies their saturation.

    Args:
        pixels: (n, 3) float32, from 0 to 1, changed.
        rotation: degrees. saturation: the factor.
    """
    one, circle = np.float32(1), np.float32(360)
    for i in range(pixels.shape[0]):
        b, g, r = pixels[i, 0], pixels[i, 1], pixels[i, 2]
        v = max(b, g, r)
        difference = v - min(b, g, r)
        s = difference / (abs(v) + _EPSILON) * np.float32(saturation)
        share = np.float32(60) / (difference + _EPSILON)
        if v == r:
            h = (g - b) * share
        elif v == g:
            h = (b - r) * share + np.float32(120)
        else:
            h = (r - g) * share + np.float32(240)
        if h < 0:
            h += circle
        h += np.float32(rotation)
        if s == 0:
            pixels[i, 0] = pixels[i, 1] = pixels[i, 2] = v
            continue
        h *= np.float32(6) / circle
        while h < 0:
            h += np.float32(6)
        while h >= 6:
            h -= np.float32(6)
        sector = int(np.floor(h))
        if sector >= 6:
            sector, h = 0, np.float32(0)
        h -= np.float32(sector)
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
        pixels[i, 0], pixels[i, 1], pixels[i, 2] = b, g, r
