"""Logistic sigmoid: y = 1 / (1 + e^-x)."""

from pycaffe_lite.kernels.elementwise import Number, elementwise
from pycaffe_lite.kernels.simd import math


@elementwise
def forward(x: Number) -> Number:
    """Value: y = 1 / (1 + e^-x)."""
    return math.sigmoid(x)


@elementwise
def backward(y: Number, dy: Number) -> Number:
    """Gradient: dx = dy y (1 - y)."""
    T = type(y)
    return dy * y * (T(1) - y)
