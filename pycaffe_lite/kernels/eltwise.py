"""Sums, products, quotients, maxima and minima of arrays of one size.

Each function takes in one more array, or the first two at once: however many bottoms there are, no
intermediate arrays are made.
"""

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def scaled_sum(a: Number, a_coeff: Number, b: Number, b_coeff: Number, slope: Number) -> Number:
    """Sum: y = s if s > 0, else slope s, with s = a_coeff a + b_coeff b."""
    value = a_coeff * a + b_coeff * b
    return value if value > type(value)(0) else slope * value


@elementwise
def scale(x: Number, coeff: Number) -> Number:
    """Multiple: y = coeff x."""
    return coeff * x


@elementwise
def product(a: Number, b: Number) -> Number:
    """Product: y = a b."""
    return a * b


@elementwise
def quotient(a: Number, b: Number) -> Number:
    """Quotient: y = a / b."""
    return a / b


@elementwise
def divisor_gradient(y: Number, x: Number, dy: Number) -> Number:
    """Gradient of a quotient y, of which x is one divisor: dx = -y / x dy."""
    return -y / x * dy


@elementwise
def quotient_product(y: Number, x: Number, dy: Number) -> Number:
    """Gradient of a product y, of which x is one factor: dx = y / x dy."""
    return y / x * dy


@elementwise
def maximum(a: Number, b: Number) -> tuple[int, Number]:
    """Larger one of two: winner = 0 and y = a if a > b, else winner = 1 and y = b."""
    first = a > b
    return (0 if first else 1), (a if first else b)


@elementwise
def maximum_with(x: Number, index: int, winner: int, y: Number) -> tuple[int, Number]:
    """Larger one of x and y: winner = index and y = x if x > y; else both stay as they are."""
    larger = x > y
    return (index if larger else winner), (x if larger else y)


@elementwise
def minimum(a: Number, b: Number) -> tuple[int, Number]:
    """Smaller one of two: winner = 0 and y = a if a < b, else winner = 1 and y = b."""
    first = a < b
    return (0 if first else 1), (a if first else b)


@elementwise
def minimum_with(x: Number, index: int, winner: int, y: Number) -> tuple[int, Number]:
    """Smaller one of x and y: winner = index and y = x if x < y; else both stay as they are."""
    smaller = x < y
    return (index if smaller else winner), (x if smaller else y)


@elementwise
def winner_gradient(winner: int, index: int, dy: Number) -> Number:
    """Gradient of a maximum or minimum: dx = dy if winner is index, else 0."""
    return dy if winner == index else type(dy)(0)
