"""Sums, products and maxima of arrays of one size, value by value; all flat.

Each function takes in one more array, or the first two at once: however many bottoms there are, no
intermediate arrays are made.
"""

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_piece, worker_kernel
from pycaffe_lite.kernels.runtime.flat import flat_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory


def scaled_sum(a: Array, a_coeff: float, b: Array, b_coeff: float, y: Array, slope: float) -> None:
    """y[i] = act(a_coeff a[i] + b_coeff b[i]), act(v) = v if v > 0 else slope v.

    All arrays: (count,); y may be a or b.
    """
    _scaled_sum(no_memory(y.dtype), a, float(a_coeff), b, float(b_coeff), y, float(slope))


@worker_kernel
def _scaled_sum(
    a: Array, a_coeff: float, b: Array, b_coeff: float, y: Array, slope: float, tasks: Tasks, _memory: Array
) -> None:
    T = a.dtype.type
    p, q, below = T(a_coeff), T(b_coeff), T(slope)
    start, stop = take_piece(tasks, y.size)
    while start < stop:
        left, right, out = a[start:stop], b[start:stop], y[start:stop]
        for i in range(out.size):
            value = p * left[i] + q * right[i]
            out[i] = value if value > 0 else below * value
        start, stop = take_piece(tasks, y.size)


def scale(x: Array, coeff: float, y: Array) -> None:
    """y[i] = coeff x[i].  x, y: (count,); y may be x."""
    _scale(no_memory(y.dtype), x, float(coeff), y)


@worker_kernel
def _scale(x: Array, coeff: float, y: Array, tasks: Tasks, _memory: Array) -> None:
    p = x.dtype.type(coeff)
    start, stop = take_piece(tasks, y.size)
    while start < stop:
        source, out = x[start:stop], y[start:stop]
        for i in range(out.size):
            out[i] = p * source[i]
        start, stop = take_piece(tasks, y.size)


@flat_kernel
def product(a: Array, b: Array, y: Array) -> None:
    """y[i] = a[i] b[i].  All: (count,); y may be a or b."""
    for i in range(y.size):
        y[i] = a[i] * b[i]


@flat_kernel
def quotient_product(y: Array, x: Array, dy: Array, dx: Array) -> None:
    """dx[i] = y[i] / x[i] dy[i]: the gradient of a product y of which x is one factor.  All: (count,)."""
    for i in range(y.size):
        dx[i] = y[i] / x[i] * dy[i]


@flat_kernel
def maximum(a: Array, b: Array, y: Array, winner: Array) -> None:
    """y[i] = a[i] if a[i] > b[i] else b[i]; winner[i] = 0 or 1: equal values are b's.

    All: (count,), winner int32; y may be a or b.
    """
    for i in range(y.size):
        first = a[i] > b[i]
        y[i] = a[i] if first else b[i]
        winner[i] = 0 if first else 1


@flat_kernel
def maximum_with(x: Array, index: int, y: Array, winner: Array) -> None:
    """y[i] = x[i] and winner[i] = index where x[i] > y[i].  All arrays: (count,), winner int32."""
    for i in range(y.size):
        if x[i] > y[i]:
            y[i] = x[i]
            winner[i] = index


@flat_kernel
def maximum_gradient(winner: Array, index: int, dy: Array, dx: Array) -> None:
    """dx[i] = dy[i] where winner[i] is index, else 0.  All arrays: (count,), winner int32."""
    T = dy.dtype.type
    for i in range(dx.size):
        dx[i] = dy[i] if winner[i] == index else T(0)
