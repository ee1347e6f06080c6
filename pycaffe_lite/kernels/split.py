"""Sums of gradients over flat arrays."""

from numba import prange

from pycaffe_lite.kernels._jit import Array, parallel_kernel


@parallel_kernel
def add(a: Array, b: Array, y: Array) -> None:
    """y[i] = a[i] + b[i].  All: (count,); y may be a or b."""
    for i in prange(y.size):
        y[i] = a[i] + b[i]
