"""Clipping to an interval over flat arrays."""

from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.flat import flat_kernel


@flat_kernel
def forward(x: Array, low: float, high: float, y: Array) -> None:
    """y[i] = max(low, min(x[i], high)); NaN gives low.  x, y: (count,); y may be x."""
    T = x.dtype.type
    lowest, highest = T(low), T(high)
    for i in range(x.size):
        under = highest if highest < x[i] else x[i]
        y[i] = under if lowest < under else lowest


@flat_kernel
def backward(x: Array, dy: Array, low: float, high: float, dx: Array) -> None:
    """dx[i] = dy[i] if low <= x[i] <= high else 0.  All arrays: (count,); dx may be dy."""
    T = x.dtype.type
    lowest, highest = T(low), T(high)
    for i in range(x.size):
        dx[i] = dy[i] * T(lowest <= x[i] <= highest)
