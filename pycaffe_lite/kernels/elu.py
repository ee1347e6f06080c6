"""Exponential linear unit over flat arrays."""

from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.flat import flat_kernel
from pycaffe_lite.kernels.simd.math import exp


@flat_kernel
def forward(x: Array, alpha: float, y: Array) -> None:
    """y[i] = max(x[i], 0) + alpha (e^min(x[i], 0) - 1).  x, y: (count,); y may be x."""
    T = x.dtype.type
    a = T(alpha)
    for i in range(x.size):
        y[i] = max(x[i], T(0)) + a * (exp(min(x[i], T(0))) - T(1))


@flat_kernel
def backward(x: Array, y: Array, dy: Array, alpha: float, dx: Array) -> None:
    """dx[i] = dy[i] if x[i] > 0 else dy[i] (alpha + y[i]).

    All arrays: (count,); x may be y, dx may be dy.
    """
    T = x.dtype.type
    a = T(alpha)
    for i in range(x.size):
        dx[i] = dy[i] * (T(1) if x[i] > 0 else a + y[i])
