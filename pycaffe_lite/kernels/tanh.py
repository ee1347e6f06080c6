"""Hyperbolic tangent: y = tanh(x)."""

from pycaffe_lite.kernels.elementwise import Number, elementwise
from pycaffe_lite.kernels.simd import math


@elementwise
def forward(x: Number) -> Number:
    """Value: y = tanh(x)."""
    return math.tanh(x)


@elementwise
def backward(y: Number, dy: Number) -> Number:
    """Gradient: dx = dy (1 - y²)."""
    T = type(y)
    return dy * (T(1) - y * y)
