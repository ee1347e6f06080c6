"""Exponential linear unit: y = x for x > 0, else alpha (e^x - 1)."""

from pycaffe_lite.kernels.elementwise import Number, elementwise
from pycaffe_lite.kernels.simd.math import exp


@elementwise
def forward(x: Number, alpha: Number) -> Number:
    """Value: y = max(x, 0) + alpha (e^min(x, 0) - 1)."""
    T = type(x)
    return max(x, T(0)) + alpha * (exp(min(x, T(0))) - T(1))


@elementwise
def backward(x: Number, y: Number, dy: Number, alpha: Number) -> Number:
    """Gradient: dx = dy if x > 0, else dy (alpha + y); y may stand for x."""
    T = type(x)
    return dy * (T(1) if x > T(0) else alpha + y)
