"""Swish with a gate of straight lines: y = x min(max(x + 3, 0), 6) / 6."""

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def forward(x: Number) -> Number:
    """Value: y = x min(max(x + 3, 0), 6) / 6."""
    T = type(x)
    return x * min(max(x + T(3), T(0)), T(6)) / T(6)


@elementwise
def backward(x: Number, dy: Number) -> Number:
    """Gradient: dx = dy (2 x + 3) / 6 for -3 < x < 3, 0 below and dy above."""
    T = type(x)
    slope = (x + x + T(3)) / T(6)
    return dy * (T(0) if x <= T(-3) else T(1) if x >= T(3) else slope)
