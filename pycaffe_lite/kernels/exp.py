"""Exponential with any base over flat arrays."""

from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.flat import flat_kernel
from pycaffe_lite.kernels.simd import math


@flat_kernel
def forward(x: Array, inner: float, outer: float, y: Array) -> None:
    """y[i] = outer e^(inner x[i]).  x, y: (count,); y may be x."""
    T = x.dtype.type
    a, b = T(inner), T(outer)
    for i in range(x.size):
        y[i] = b * math.exp(a * x[i])


@flat_kernel
def backward(y: Array, dy: Array, inner: float, dx: Array) -> None:
    """dx[i] = dy[i] inner y[i].  All arrays: (count,); dx may be dy."""
    T = y.dtype.type
    a = T(inner)
    for i in range(y.size):
        dx[i] = dy[i] * y[i] * a
