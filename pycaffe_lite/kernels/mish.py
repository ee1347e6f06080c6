"""Mish, a smooth unit that gates itself: y = x tanh(ln(1 + e^x)).

With n = e^x (e^x + 2), tanh(ln(1 + e^x)) = n / (n + 2), which needs no logarithm. From x = MOST on the gate
is 1 to all digits, and larger powers would only overflow.
"""

from pycaffe_lite.kernels.elementwise import Number, elementwise
from pycaffe_lite.kernels.simd.math import exp

MOST = 40


@elementwise
def forward(x: Number) -> Number:
    """Value: y = x n / (n + 2) with n = e^x (e^x + 2)."""
    T = type(x)
    e = exp(min(x, T(MOST)))
    n = e * (e + T(2))
    return x * (n / (n + T(2)))


@elementwise
def backward(x: Number, dy: Number) -> Number:
    """Gradient: dx = dy (g + x 4 e^x (1 + e^x) / (n + 2)^2) with the gate g = n / (n + 2)."""
    T = type(x)
    e = exp(min(x, T(MOST)))
    n = e * (e + T(2))
    return dy * (n / (n + T(2)) + x * (T(4) * e / (n + T(2))) * ((T(1) + e) / (n + T(2))))
