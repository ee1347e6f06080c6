"""Logarithm to any base: y = outer ln(scale x + shift)."""

import numpy as np

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def forward(x: Number, scale: Number, shift: Number, outer: Number) -> Number:
    """Value: y = outer ln(scale x + shift)."""
    return outer * np.log(scale * x + shift)


@elementwise
def backward(x: Number, dy: Number, scale: Number, shift: Number, outer_scale: Number) -> Number:
    """Gradient: dx = dy outer_scale / (scale x + shift), with outer_scale = outer scale."""
    return dy * (outer_scale / (scale * x + shift))
