"""Planes of another size by bilinear interpolation, with the corners on the corners."""

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel


def places(size: int, to: int) -> tuple[Array, Array]:
    """Where `to` values lie among `size`: the index before each, and its distance from there in float32.

    The first is at 0, the last at size - 1; at index size - 1 the distance is 0.
    """
    ratio = np.float32(size - 1) / np.float32(to - 1) if to > 1 else np.float32(0)
    at = ratio * np.arange(to, dtype=np.float32)
    before = at.astype(np.int64)
    return before, np.where(before < size - 1, at - before.astype(np.float32), np.float32(0))


@kernel
def _after(i: int, distance: float) -> int:
    """The index of the other neighbour; at the end, where the distance is 0, the same."""
    return i + 1 if distance > 0 else i


@parallel_kernel
def forward(x: Array, rows: Array, row_part: Array, cols: Array, col_part: Array, y: Array) -> None:
    """Interpolate between the four neighbours of each place.

    x: (planes, H, W). y: (planes, P, Q). rows, row_part: (P,), as `places` gives them; cols, col_part: (Q,).
    """
    one = x.dtype.type(1)
    for n in prange(x.shape[0]):
        for p in range(y.shape[1]):
            down = x.dtype.type(row_part[p])
            above, below = x[n, rows[p]], x[n, _after(rows[p], row_part[p])]
            for q in range(y.shape[2]):
                right = x.dtype.type(col_part[q])
                left, after = cols[q], _after(cols[q], col_part[q])
                y[n, p, q] = (one - down) * ((one - right) * above[left] + right * above[after]) + down * (
                    (one - right) * below[left] + right * below[after]
                )


@parallel_kernel
def backward(dy: Array, rows: Array, row_part: Array, cols: Array, col_part: Array, dx: Array) -> None:
    """Add each gradient to those of its four neighbours, by the same weights.  dx: zeros before."""
    one = dy.dtype.type(1)
    for n in prange(dy.shape[0]):
        for p in range(dy.shape[1]):
            down = dy.dtype.type(row_part[p])
            above, below = dx[n, rows[p]], dx[n, _after(rows[p], row_part[p])]
            for q in range(dy.shape[2]):
                right = dy.dtype.type(col_part[q])
                left, after, d = cols[q], _after(cols[q], col_part[q]), dy[n, p, q]
                above[left] += (one - down) * (one - right) * d
                above[after] += (one - down) * right * d
                below[left] += down * (one - right) * d
                below[after] += down * right * d
