"""Absolute value: y = |x|."""

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def forward(x: Number) -> Number:
    """Value: y = |x|."""
    return abs(x)


@elementwise
def backward(x: Number, dy: Number) -> Number:
    """Gradient: dx = dy sign(x), with sign(0) = 0."""
    T = type(x)
    return dy * (T(x > T(0)) - T(x < T(0)))
