"""Exponential to any base: y = outer e^(inner x)."""

from pycaffe_lite.kernels.elementwise import Number, elementwise
from pycaffe_lite.kernels.simd import math


@elementwise
def forward(x: Number, inner: Number, outer: Number) -> Number:
    """Value: y = outer e^(inner x)."""
    return outer * math.exp(inner * x)


@elementwise
def backward(y: Number, dy: Number, inner: Number) -> Number:
    """Gradient: dx = dy y inner."""
    return dy * y * inner
