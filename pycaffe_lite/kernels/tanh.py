"""Hyperbolic tangent over flat arrays."""

from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.flat import flat_kernel
from pycaffe_lite.kernels.simd import math


@flat_kernel
def forward(x: Array, y: Array) -> None:
    """y[i] = tanh(x[i]).  x, y: (count,); y may be x."""
    for i in range(x.size):
        y[i] = math.tanh(x[i])


@flat_kernel
def backward(y: Array, dy: Array, dx: Array) -> None:
    """dx[i] = dy[i] (1 - y[i]²).  All: (count,); dx may be dy."""
    T = y.dtype.type
    for i in range(y.size):
        dx[i] = dy[i] * (T(1) - y[i] * y[i])
