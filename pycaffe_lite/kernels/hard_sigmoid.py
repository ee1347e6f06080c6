"""Sigmoid of straight lines: y = min(max(alpha x + beta, 0), 1)."""

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def forward(x: Number, alpha: Number, beta: Number) -> Number:
    """Value: y = min(max(alpha x + beta, 0), 1)."""
    T = type(x)
    return min(max(alpha * x + beta, T(0)), T(1))


@elementwise
def backward(y: Number, dy: Number, alpha: Number) -> Number:
    """Gradient: dx = alpha dy for 0 < y < 1, else 0."""
    T = type(y)
    return dy * (alpha if T(0) < y < T(1) else T(0))
