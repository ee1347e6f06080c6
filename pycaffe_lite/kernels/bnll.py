"""Binomial normal log likelihood (softplus) over flat arrays."""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.flat import flat_kernel
from pycaffe_lite.kernels.simd.math import exp

LARGEST = 50.0  # the gradient's exponent stops here, lest it overflow


@flat_kernel
def forward(x: Array, y: Array) -> None:
    """y[i] = log(1 + e^x[i]), as x + log(1 + e^-x) for x > 0.  x, y: (count,); y may be x."""
    T = x.dtype.type
    for i in range(x.size):
        y[i] = max(x[i], T(0)) + np.log(T(1) + exp(-abs(x[i])))


@flat_kernel
def backward(x: Array, dy: Array, dx: Array) -> None:
    """dx[i] = dy[i] e / (e + 1) with e = e^min(x[i], 50).  All: (count,); dx may be dy."""
    T = x.dtype.type
    for i in range(x.size):
        e = exp(min(x[i], T(LARGEST)))
        dx[i] = dy[i] * e / (e + T(1))
