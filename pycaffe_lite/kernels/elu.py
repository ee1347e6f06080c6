"""Exponential linear unit: y = scale x for x > 0, else scale alpha (e^x - 1)."""

from pycaffe_lite.kernels.elementwise import Number, elementwise
from pycaffe_lite.kernels.simd.math import exp


@elementwise
def forward(x: Number, alpha: Number, scale: Number) -> Number:
    """Value: y = scale (max(x, 0) + alpha (e^min(x, 0) - 1))."""
    T = type(x)
    return scale * (max(x, T(0)) + alpha * (exp(min(x, T(0))) - T(1)))


@elementwise
def backward(x: Number, y: Number, dy: Number, alpha: Number, scale: Number) -> Number:
    """Gradient: dx = scale dy if x > 0, else dy (scale alpha + y); y may stand for x."""
    T = type(x)
    return dy * (scale if x > T(0) else scale * alpha + y)
