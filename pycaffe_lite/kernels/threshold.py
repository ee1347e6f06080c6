"""Comparison with a threshold: y = 1 for x > threshold, else 0."""

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def forward(x: Number, threshold: Number) -> Number:
    """Value: y = 1 if x > threshold, else 0."""
    return type(x)(x > threshold)
