"""Squared distance of two flat arrays, and its gradient."""

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel

BLOCK = 16384  # numbers of one task: 64 KB of each array


# reassoc lets the sum run in vector lanes. Its order does not depend on the number of threads.
@kernel(fastmath={"reassoc", "nsz"})
def _squared_distance(a: Array, b: Array) -> float:
    total = 0.0
    for i in range(a.size):
        total += np.float64(a[i] - b[i]) ** 2
    return total


@parallel_kernel
def forward(a: Array, b: Array) -> float:
    """The sum over i of (a[i] - b[i])², in float64.  a, b: (count,)."""
    parts = np.empty((a.size + BLOCK - 1) // BLOCK)
    for part in prange(parts.size):
        start, stop = part * BLOCK, min(a.size, (part + 1) * BLOCK)
        parts[part] = _squared_distance(a[start:stop], b[start:stop])
    total = 0.0
    for part in range(parts.size):
        total += parts[part]
    return total


@parallel_kernel
def backward(a: Array, b: Array, scale: float, da: Array) -> None:
    """da[i] = scale (a[i] - b[i]).  All arrays: (count,)."""
    factor = a.dtype.type(scale)
    for i in prange(da.size):
        da[i] = factor * (a[i] - b[i])
