"""Comparison with a threshold over flat arrays."""

from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.flat import flat_kernel


@flat_kernel
def forward(x: Array, threshold: float, y: Array) -> None:
    """y[i] = 1 if x[i] > threshold else 0.  x, y: (count,); y may be x."""
    T = x.dtype.type
    t = T(threshold)
    for i in range(x.size):
        y[i] = T(x[i] > t)
