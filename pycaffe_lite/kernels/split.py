"""Sums of the gradients of a split."""

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def add(a: Number, b: Number) -> Number:
    """Sum: y = a + b."""
    return a + b
