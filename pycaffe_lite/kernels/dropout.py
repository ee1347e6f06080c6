"""Dropout over flat arrays; the same for values and gradients."""

from numba import prange

from pycaffe_lite.kernels._jit import Array, parallel_kernel


@parallel_kernel
def apply(x: Array, mask: Array, scale: float, y: Array) -> None:
    """y[i] = x[i] mask[i] scale.  x, y: (count,), y may be x; mask: (count,), 0 or 1."""
    T = x.dtype.type
    s = T(scale)
    for i in prange(x.size):
        y[i] = x[i] * T(mask[i]) * s
