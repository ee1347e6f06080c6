"""Swish, the self-gated unit, over flat arrays."""

from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.flat import flat_kernel
from pycaffe_lite.kernels.simd.math import sigmoid


@flat_kernel
def forward(x: Array, beta: float, gate: Array, y: Array) -> None:
    """gate[i] = 1 / (1 + e^(-beta x[i])); y[i] = x[i] gate[i].  All arrays: (count,); y may be x."""
    T = x.dtype.type
    b = T(beta)
    for i in range(x.size):
        gate[i] = sigmoid(b * x[i])
        y[i] = x[i] * gate[i]


@flat_kernel
def backward(y: Array, gate: Array, dy: Array, beta: float, dx: Array) -> None:
    """dx[i] = dy[i] (beta y[i] + gate[i] (1 - beta y[i])).  All arrays: (count,); dx may be dy."""
    T = y.dtype.type
    b = T(beta)
    for i in range(y.size):
        dx[i] = dy[i] * (b * y[i] + gate[i] * (T(1) - b * y[i]))
