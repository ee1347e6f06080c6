"""Binomial normal log likelihood, also called softplus: y = log(1 + e^x)."""

import numpy as np

from pycaffe_lite.kernels.elementwise import Number, elementwise
from pycaffe_lite.kernels.simd.math import exp

LARGEST = 50.0  # The gradient's exponent stops here, so that it cannot overflow.


@elementwise
def forward(x: Number) -> Number:
    """Value: y = log(1 + e^x), computed as max(x, 0) + log(1 + e^-|x|)."""
    T = type(x)
    return max(x, T(0)) + np.log(T(1) + exp(-abs(x)))


@elementwise
def backward(x: Number, dy: Number) -> Number:
    """Gradient: dx = dy e / (e + 1) with e = e^min(x, 50)."""
    T = type(x)
    e = exp(min(x, T(LARGEST)))
    return dy * e / (e + T(1))
