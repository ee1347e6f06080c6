"""Resizing pictures as OpenCV does: bilinear, in fixed point, without smoothing before shrinking.

Source: OpenCV, modules/imgproc/src/resize.cpp (INTER_LINEAR of 8-bit values)
"""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, serial_kernel

BITS = 11  # of a weight: 2048 is 1


@kernel
def _row(source: Array, left: Array, right: Array, weights: Array, out: Array) -> None:
    """out[x] = source[left[x]] · weights[x, 0] + source[right[x]] · weights[x, 1], channel by channel.

    source: (W, C) uint8. left, right: (width,). weights: (width, 2) int32. out: (width, C) int32.
    """
    width, C = out.shape
    if C == 3:
        for x in range(width):
            a, b = source[left[x]], source[right[x]]
            v, w = weights[x, 0], weights[x, 1]
            out[x, 0] = a[0] * v + b[0] * w
            out[x, 1] = a[1] * v + b[1] * w
            out[x, 2] = a[2] * v + b[2] * w
    else:
        for x in range(width):
            for c in range(C):
                out[x, c] = source[left[x], c] * weights[x, 0] + source[right[x], c] * weights[x, 1]


@serial_kernel
def bilinear(
    pixels: Array,
    upper: Array,
    lower: Array,
    row_weights: Array,
    left: Array,
    right: Array,
    column_weights: Array,
    out: Array,
) -> None:
    """Each value of `out` from its four neighbours in `pixels`: first along the rows, then between two.

    Args:
        pixels: (H, W, C) uint8.
        upper, lower: (height,) int32, the rows of `pixels` on either side of each row of `out`.
        row_weights: (height, 2) int32, theirs; 2048 is 1.
        left, right, column_weights: the same of the columns.
        out: (height, width, C) uint8.
    """
    height, width, C = out.shape
    rows = np.empty((2, width, C), np.int32)  # the last two that were made, and of which row of pixels
    made = np.full(2, -1, np.int64)
    for y in range(height):
        first = 0 if made[0] == upper[y] else 1 if made[1] == upper[y] else -1
        if first < 0:
            first = 1 if made[0] == lower[y] else 0
            made[first] = upper[y]
            _row(pixels[upper[y]], left, right, column_weights, rows[first])
        second = 0 if made[0] == lower[y] else 1 if made[1] == lower[y] else -1
        if second < 0:
            second = 1 - first
            made[second] = lower[y]
            _row(pixels[lower[y]], left, right, column_weights, rows[second])
        above, below = rows[first].reshape(-1), rows[second].reshape(-1)
        v, w = row_weights[y, 0], row_weights[y, 1]
        values = out[y].reshape(-1)
        for i in range(values.size):
            total = np.int32(np.int32(v * np.int32(above[i] >> 4)) >> 16)
            total += np.int32(np.int32(w * np.int32(below[i] >> 4)) >> 16)
            values[i] = min(max((total + 2) >> 2, 0), 255)


@serial_kernel
def half(pixels: Array, out: Array) -> None:
    """Each value is the mean of 2 x 2 pixels, rounded.  pixels: (2 H, 2 W, C) uint8; out: (H, W, C)."""
    height, width, C = out.shape
    for y in range(height):
        above, below = pixels[2 * y], pixels[2 * y + 1]
        for x in range(width):
            for c in range(C):
                total = np.int32(above[2 * x, c]) + above[2 * x + 1, c]
                total += np.int32(below[2 * x, c]) + below[2 * x + 1, c]
                out[y, x, c] = (total + 2) >> 2
