"""Logarithm to any base over flat arrays."""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.flat import flat_kernel


@flat_kernel
def forward(x: Array, scale: float, shift: float, outer: float, y: Array) -> None:
    """y[i] = outer ln(scale x[i] + shift).  x, y: (count,); y may be x."""
    T = x.dtype.type
    a, b, c = T(scale), T(shift), T(outer)
    for i in range(x.size):
        y[i] = c * np.log(a * x[i] + b)


@flat_kernel
def backward(x: Array, dy: Array, scale: float, shift: float, outer: float, dx: Array) -> None:
    """dx[i] = dy[i] outer scale / (scale x[i] + shift).  All arrays: (count,); dx may be dy."""
    T = x.dtype.type
    a, b, c = T(scale), T(shift), T(outer * scale)
    for i in range(x.size):
        dx[i] = dy[i] * (c / (a * x[i] + b))
