"""Dropout: y = x mask scale, for values and gradients alike."""

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def apply(x: Number, mask: Number, scale: Number) -> Number:
    """Value: y = x mask scale; mask is 0 or 1, a uint8."""
    return x * type(x)(mask) * scale
