"""Rectified linear unit with a ceiling: y = min(x, 6) for x > 0, else slope x."""

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def forward(x: Number, slope: Number) -> Number:
    """Value: y = min(max(x, 0) + slope min(x, 0), 6); NaN stays NaN."""
    T = type(x)
    y = slope * x if x < T(0) else x
    return T(6) if y > T(6) else y


@elementwise
def backward(x: Number, dy: Number, slope: Number) -> Number:
    """Gradient: dx = dy for 0 < x < 6, slope dy for x <= 0, and 0 from 6 on; y may stand for x."""
    T = type(x)
    below = T(1) if x > T(0) else slope
    return dy * (below if x < T(6) else T(0))
