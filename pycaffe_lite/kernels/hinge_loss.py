"""Hinge loss of class scores, one against the rest, and its gradient."""

from pycaffe_lite.kernels.runtime.decorators import Array, serial_kernel


@serial_kernel
def forward(x: Array, labels: Array, squared: bool) -> float:
    """The sum over n, c of h or, if squared, of h², in float64.

    h = max(0, 1 + s x[n, c]), s = -1 at the label of n, else 1. x: (N, C). labels: (N,), whole numbers.
    """
    T = x.dtype.type
    total = 0.0
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            h = max(T(0), T(1) + (-x[n, c] if c == labels[n] else x[n, c]))
            total += h * h if squared else h
    return total


@serial_kernel
def backward(x: Array, labels: Array, squared: bool, scale: float, dx: Array) -> None:
    """dx[n, c] = scale s [h > 0] or, if squared, 2 scale s h; s and h as in `forward`.  dx: (N, C)."""
    T = x.dtype.type
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            sign = T(-1) if c == labels[n] else T(1)
            h = max(T(0), T(1) + sign * x[n, c])
            dx[n, c] = sign * T(scale) * (T(2) * h if squared else T(h > 0))
