"""Rectified linear unit of negative values: y = x for x < 0, else slope x."""

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def forward(x: Number, slope: Number) -> Number:
    """Value: y = min(x, 0) + slope max(x, 0); NaN stays NaN."""
    T = type(x)
    positive = x > T(0)
    return (T(0) if positive else x) + slope * (x if positive else T(0))


@elementwise
def backward(x: Number, dy: Number, slope: Number) -> Number:
    """Gradient: dx = dy if x < 0, else slope dy."""
    T = type(x)
    return dy * (T(1) if x < T(0) else slope)
