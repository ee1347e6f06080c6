"""Absolute value over flat arrays."""

from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.flat import flat_kernel


@flat_kernel
def forward(x: Array, y: Array) -> None:
    """y[i] = |x[i]|.  x, y: (count,)."""
    for i in range(x.size):
        y[i] = abs(x[i])


@flat_kernel
def backward(x: Array, dy: Array, dx: Array) -> None:
    """dx[i] = dy[i] sign(x[i]), with sign(0) = 0.  All: (count,)."""
    T = x.dtype.type
    for i in range(x.size):
        dx[i] = dy[i] * (T(x[i] > 0) - T(x[i] < 0))
