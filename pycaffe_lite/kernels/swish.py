"""Swish, a unit that gates itself: y = x / (1 + e^(-beta x))."""

from pycaffe_lite.kernels.elementwise import Number, elementwise
from pycaffe_lite.kernels.simd.math import sigmoid


@elementwise
def forward(x: Number, beta: Number) -> tuple[Number, Number]:
    """Gate and value: gate = 1 / (1 + e^(-beta x)) and y = x gate."""
    gate = sigmoid(beta * x)
    return gate, x * gate


@elementwise
def backward(y: Number, gate: Number, dy: Number, beta: Number) -> Number:
    """Gradient: dx = dy (beta y + gate (1 - beta y))."""
    T = type(y)
    return dy * (beta * y + gate * (T(1) - beta * y))
