"""Sums over the rows of a matrix: of values, absolute values or squares."""

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel

SUM, ABS_SUM, SQUARE_SUM = 0, 1, 2
# Values per partial sum: a fixed number, because the result must not depend on the number of threads.
PART = 8192


# A sum is vectorised only if its terms may be added in another order.
@kernel(fastmath={"reassoc", "nsz"})
def _sum(x: Array, kind: int) -> float:
    total = 0.0
    if kind == SUM:
        for i in range(x.size):
            total += x[i]
    elif kind == ABS_SUM:
        for i in range(x.size):
            total += abs(x[i])
    else:
        for i in range(x.size):
            total += x[i] * x[i]
    return total


@parallel_kernel
def forward(x: Array, kind: int, coeff: float, y: Array) -> None:
    """y[n] = coeff * sum over i of x[n, i], |x[n, i]| or x[n, i]².

    x: (N, K). y: (N,). kind: SUM, ABS_SUM or SQUARE_SUM. Sums are kept in float64.
    """
    N, K = x.shape
    parts = (K + PART - 1) // PART
    sums = np.empty((N, parts))
    for job in prange(N * parts):
        n, start = job // parts, job % parts * PART
        sums[n, job % parts] = _sum(x[n, start : min(start + PART, K)], kind)
    for row in range(N):
        total = 0.0
        for part in range(parts):
            total += sums[row, part]
        y[row] = coeff * total


@parallel_kernel
def backward(x: Array, dy: Array, kind: int, coeff: float, dx: Array) -> None:
    """dx[n, i] = coeff dy[n] times 1, sign(x[n, i]) or 2 x[n, i].  x, dx: (N, K). dy: (N,)."""
    N, K = x.shape
    T = x.dtype.type
    parts = (K + PART - 1) // PART
    for job in prange(N * parts):
        n, start = job // parts, job % parts * PART
        c = T(coeff) * dy[n]
        for i in range(start, min(start + PART, K)):
            if kind == SUM:
                dx[n, i] = c
            elif kind == ABS_SUM:
                dx[n, i] = c * (T(x[n, i] > 0) - T(x[n, i] < 0))
            else:
                dx[n, i] = c * T(2) * x[n, i]
