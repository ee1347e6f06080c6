"""Clipping to an interval: y = max(low, min(x, high))."""

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def forward(x: Number, low: Number, high: Number) -> Number:
    """Value: y = max(low, min(x, high)); NaN becomes low."""
    under = high if high < x else x
    return under if low < under else low


@elementwise
def backward(x: Number, dy: Number, low: Number, high: Number) -> Number:
    """Gradient: dx = dy if low <= x <= high, else 0 dy."""
    T = type(x)
    return dy * T(low <= x <= high)
