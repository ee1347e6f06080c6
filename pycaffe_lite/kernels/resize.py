"""Resizing pictures as OpenCV does: bilinear, in fixed point, without smoothing before shrinking.

Source: OpenCV, modules/imgproc/src/resize.cpp (INTER_LINEAR of 8-bit values)
"""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, serial_kernel

BITS = 11  # of a weight: 2048 is 1


@kernel
def _row(source: Array, channels: int, left: Array, right: Array, weights: Array, out: Array) -> None:
    """Each channel of out[x] = source[left[x]] · weights[x, 0] + source[right[x]] · weights[x, 1].

    source: (W · channels,) uint8. left, right: (width,). weights: (width, 2) int32. out: (width · channels,).
    """
    for x in range(left.size):
        # Unsigned numbers cannot mean places from the end, which would have to be looked for.
        a, b, at = np.uint64(channels * left[x]), np.uint64(channels * right[x]), np.uint64(channels * x)
        v, w = weights[x, 0], weights[x, 1]
        if channels == 3:
            for c in range(3):
                k = np.uint64(c)
                out[at + k] = np.int32(source[a + k]) * v + np.int32(source[b + k]) * w
        else:
            for c in range(channels):
                k = np.uint64(c)
                out[at + k] = np.int32(source[a + k]) * v + np.int32(source[b + k]) * w


@kernel
def _between(above: Array, below: Array, v: int, w: int, out: Array) -> None:
    """Out = (above · v + below · w) / 2²², in OpenCV's steps.  above, below: int32; out: uint8."""
    for i in range(out.size):
        total = np.int32(v * (above[i] >> np.int32(4))) >> np.int32(16)
        total += np.int32(w * (below[i] >> np.int32(4))) >> np.int32(16)
        total = (total + np.int32(2)) >> np.int32(2)
        out[i] = np.uint8(min(max(total, np.int32(0)), np.int32(255)))


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
    rows = np.empty((2, width * C), np.int32)  # the last two that were made, and of which row of pixels
    made = np.full(2, -1, np.int64)
    for y in range(height):
        first = 0 if made[0] == upper[y] else 1 if made[1] == upper[y] else -1
        if first < 0:
            first = 1 if made[0] == lower[y] else 0
            made[first] = upper[y]
            _row(pixels[upper[y]].reshape(-1), C, left, right, column_weights, rows[first])
        second = 0 if made[0] == lower[y] else 1 if made[1] == lower[y] else -1
        if second < 0:
            second = 1 - first
            made[second] = lower[y]
            _row(pixels[lower[y]].reshape(-1), C, left, right, column_weights, rows[second])
        _between(rows[first], rows[second], row_weights[y, 0], row_weights[y, 1], out[y].reshape(-1))


# Three channels stand side by side in 64 bits, so one multiplication weights all three. A weighted sum has 19
# bits; OpenCV drops the last four before it mixes rows.
_ROOM, _DROPPED, _KEPT = 21, 4, 0x7FFF
_CHANNELS_AT_ONCE = 3


@serial_kernel
def bilinear_planes(
    pixels: Array,
    upper: Array,
    lower: Array,
    row_weights: Array,
    left: Array,
    right: Array,
    column_weights: Array,
    out: Array,
) -> None:
    """As `bilinear`, but each channel for itself.

    Args:
        pixels: (H, W, C) uint8; or (H, W, 4): three channels, the last of them first, and a byte without
            meaning.
        upper, lower, row_weights, left, right, column_weights: as there, in ascending order; those of a part
            of the rows and columns give that part.
        out: (C, height, width) uint8.
    """
    C, height, width = out.shape
    is_turned = C == 3 and pixels.shape[2] == 4
    packed, sums = np.empty(pixels.shape[1], np.uint64), np.empty(width, np.uint64)
    rows = np.empty((2, _CHANNELS_AT_ONCE, width), np.int16)
    made = np.empty(2, np.int64)  # of which rows of pixels those are
    for c in range(0, C, _CHANNELS_AT_ONCE):
        made[:] = -1
        for y in range(height):
            wanted = upper[y], lower[y]
            for i in range(2):
                row = wanted[i]
                if row == made[0] or row == made[1]:
                    continue
                k = 1 if made[0] == wanted[1 - i] else 0
                made[k] = row
                _pack(
                    pixels[row].reshape(-1),
                    pixels.shape[2],
                    c,
                    is_turned,
                    left[0],
                    right[width - 1] + 1,
                    packed,
                )
                _mix(packed, left, right, column_weights, sums)
                _unpack(sums, rows[k])
            first = 0 if made[0] == upper[y] else 1
            second = 0 if made[0] == lower[y] else 1
            for k in range(min(_CHANNELS_AT_ONCE, C - c)):
                _between_dropped(
                    rows[first, k], rows[second, k], row_weights[y, 0], row_weights[y, 1], out[c + k, y]
                )


@kernel
def _pack(x: Array, step: int, c: int, is_turned: bool, start: int, end: int, packed: Array) -> None:
    """Puts channels c, c + 1 and c + 2 of each pixel, from start to end, side by side.

    x: (step · W,) uint8. step: bytes of a pixel. packed: (W,) uint64.
    """
    one, two = np.uint64(_ROOM), np.uint64(2 * _ROOM)
    if is_turned:
        for i in range(start, end):
            k = np.uint64(4 * i)
            packed[np.uint64(i)] = (
                np.uint64(x[k + np.uint64(2)])
                | np.uint64(x[k + np.uint64(1)]) << one
                | np.uint64(x[k]) << two
            )
    elif step == 3:
        for i in range(start, end):
            k = np.uint64(3 * i)
            packed[np.uint64(i)] = (
                np.uint64(x[k])
                | np.uint64(x[k + np.uint64(1)]) << one
                | np.uint64(x[k + np.uint64(2)]) << two
            )
    else:
        for i in range(start, end):
            value = np.uint64(0)
            for j in range(min(_CHANNELS_AT_ONCE, step - c)):
                value |= np.uint64(x[i * step + c + j]) << np.uint64(j * _ROOM)
            packed[np.uint64(i)] = value


@kernel
def _mix(packed: Array, left: Array, right: Array, weights: Array, sums: Array) -> None:
    """As `_row`, of packed channels."""
    for x in range(left.size):
        v, w = np.uint64(weights[x, 0]), np.uint64(weights[x, 1])
        sums[x] = packed[np.uint64(left[x])] * v + packed[np.uint64(right[x])] * w


@kernel
def _unpack(sums: Array, out: Array) -> None:
    """The upper 15 bits of each channel's sum.  sums: (width,) uint64. out: (3, width) int16."""
    first, second, third = out[0], out[1], out[2]
    kept = np.uint64(_KEPT)
    for x in range(sums.size):
        first[x] = np.int16(sums[x] >> np.uint64(_DROPPED) & kept)
        second[x] = np.int16(sums[x] >> np.uint64(_DROPPED + _ROOM) & kept)
        third[x] = np.int16(sums[x] >> np.uint64(_DROPPED + 2 * _ROOM) & kept)


@kernel
def _between_dropped(above: Array, below: Array, v: int, w: int, out: Array) -> None:
    """As `_between`, of int16 values whose last four bits are dropped already."""
    for i in range(out.size):
        total = np.int32(v * np.int32(above[i])) >> np.int32(16)
        total += np.int32(w * np.int32(below[i])) >> np.int32(16)
        total = (total + np.int32(2)) >> np.int32(2)
        out[i] = np.uint8(min(max(total, np.int32(0)), np.int32(255)))


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


@serial_kernel
def half_planes(pixels: Array, row: int, column: int, out: Array) -> None:
    """As `half`, but each channel for itself, of a part that begins at a row and column of the result.

    pixels: (2 H, 2 W, C) uint8, or as for `bilinear_planes`. out: (C, height, width).
    """
    C, height = out.shape[:2]
    step = pixels.shape[2]
    is_turned = C == 3 and step == 4
    for y in range(height):
        above, below = pixels[2 * (row + y)].reshape(-1), pixels[2 * (row + y) + 1].reshape(-1)
        for c in range(C):
            first = 2 * column * step + (2 - c if is_turned else c)
            if step == 4:
                _halve(above[first:], below[first:], 4, out[c, y])
            elif step == 3:
                _halve(above[first:], below[first:], 3, out[c, y])
            else:
                _halve(above[first:], below[first:], step, out[c, y])


@kernel
def _halve(above: Array, below: Array, step: int, out: Array) -> None:
    """The means of four values each, of two rows in which they stand `step` apart."""
    for x in range(out.size):
        at, after = np.uint64(2 * x * step), np.uint64((2 * x + 1) * step)
        total = np.int32(above[at]) + np.int32(above[after])
        total += np.int32(below[at]) + np.int32(below[after])
        out[x] = (total + 2) >> 2


@serial_kernel
def taps(
    pixels: Array, rows: Array, row_weights: Array, columns: Array, column_weights: Array, out: Array
) -> None:
    """Each value of `out` from k x k values of `pixels`: first along the rows, then along the columns.

    Args:
        pixels: (H, W, C) uint8.
        rows: (height, k), which rows of `pixels` each row of `out` is made of.
        row_weights: (height, k) int32, theirs; 2048 is 1.
        columns, column_weights: (width, k), the same of the columns.
        out: (height, width, C) uint8.
    """
    height, width, C = out.shape
    k = rows.shape[1]
    made = np.empty((pixels.shape[0], width, C), np.int32)
    for y in range(pixels.shape[0]):
        for x in range(width):
            for c in range(C):
                total = np.int32(0)
                for i in range(k):
                    total += np.int32(pixels[y, columns[x, i], c]) * column_weights[x, i]
                made[y, x, c] = total
    for y in range(height):
        for x in range(width):
            for c in range(C):
                whole = np.int64(1 << (2 * BITS - 1))
                for i in range(k):
                    whole += np.int64(made[rows[y, i], x, c]) * row_weights[y, i]
                out[y, x, c] = min(max(whole >> (2 * BITS), 0), 255)


@serial_kernel
def area(pixels: Array, row_ends: Array, column_ends: Array, out: Array) -> None:
    """Each value of `out` is the mean of the rectangle of `pixels` that it covers, parts of pixels included.

    Args:
        pixels: (H, W, C) uint8.
        row_ends: (height + 1,) float64, where the rows of `out` begin and end in `pixels`.
        column_ends: (width + 1,), the same of the columns.
        out: (height, width, C) uint8; halves are rounded to even numbers.
    """
    height, width, C = out.shape
    for y in range(height):
        top, bottom = row_ends[y], row_ends[y + 1]
        first_row, last_row = int(top), min(int(np.ceil(bottom)), pixels.shape[0])
        for x in range(width):
            left, right = column_ends[x], column_ends[x + 1]
            first, last = int(left), min(int(np.ceil(right)), pixels.shape[1])
            for c in range(C):
                total = 0.0
                for i in range(first_row, last_row):
                    line = 0.0
                    for j in range(first, last):
                        line += (min(right, j + 1.0) - max(left, j)) * pixels[i, j, c]
                    total += (min(bottom, i + 1.0) - max(top, i)) * line
                out[y, x, c] = np.rint(total / ((bottom - top) * (right - left)))
