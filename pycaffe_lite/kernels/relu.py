"""Rectified linear unit over flat arrays."""

from numba import prange

from pycaffe_lite.kernels._jit import Array, parallel_kernel


@parallel_kernel
def forward(x: Array, slope: float, y: Array) -> None:
    """y[i] = max(x[i], 0) + slope min(x[i], 0).  x, y: (count,); y may be x."""
    T = x.dtype.type
    s = T(slope)
    for i in prange(x.size):
        negative = x[i] < 0
        y[i] = (T(0) if negative else x[i]) + s * (x[i] if negative else T(0))  # NaN stays


@parallel_kernel
def backward(x: Array, dy: Array, slope: float, dx: Array) -> None:
    """dx[i] = dy[i] if x[i] > 0 else slope dy[i].  All arrays: (count,); dx may be dy."""
    T = x.dtype.type
    s = T(slope)
    for i in prange(x.size):
        dx[i] = dy[i] * (T(1) if x[i] > 0 else s)
