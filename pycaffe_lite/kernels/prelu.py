"""Parametric rectified linear unit: a learnt slope per channel for negative values."""

import numpy as np
from numba import prange

from pycaffe_lite.kernels._jit import Array, kernel, parallel_kernel


@parallel_kernel
def forward(x: Array, slope: Array, y: Array) -> None:
    """y[n, c, i] = max(x, 0) + slope[c] min(x, 0).

    x, y: (N, C, inner); y may be x. slope: (C,), or (1,) for all channels.
    """
    N, C, inner = x.shape
    T = x.dtype.type
    for row in prange(N * C):
        n, c = row // C, row % C
        a = slope[c % slope.size]
        for i in range(inner):
            y[n, c, i] = max(x[n, c, i], T(0)) + a * min(x[n, c, i], T(0))


@parallel_kernel
def backward_data(x: Array, dy: Array, slope: Array, dx: Array) -> None:
    """dx[n, c, i] = dy if x > 0 else slope[c] dy.  x, dy, dx: (N, C, inner); dx may be dy."""
    N, C, inner = x.shape
    T = x.dtype.type
    for row in prange(N * C):
        n, c = row // C, row % C
        a = slope[c % slope.size]
        for i in range(inner):
            dx[n, c, i] = dy[n, c, i] * (T(1) if x[n, c, i] > 0 else a)


# A sum is vectorised only where its terms may be added in another order.
@kernel(fastmath={"reassoc", "nsz"})
def _negative_sum(x: Array, dy: Array) -> float:
    total = 0.0
    for i in range(x.size):
        total += dy[i] * x[i] if x[i] <= 0 else 0.0
    return total


@parallel_kernel
def backward_slope(x: Array, dy: Array, dslope: Array) -> None:
    """dslope[c] += sum over n, i of dy x where x <= 0.

    x, dy: (N, C, inner). dslope: (C,), or (1,) for all channels. Sums are kept in float64.
    """
    N, C, _ = x.shape
    sums = np.empty((N, C))
    for row in prange(N * C):
        n, c = row // C, row % C
        sums[n, c] = _negative_sum(x[n, c], dy[n, c])
    for channel in range(C):
        total = 0.0
        for image in range(N):
            total += sums[image, channel]
        dslope[channel % dslope.size] += total
