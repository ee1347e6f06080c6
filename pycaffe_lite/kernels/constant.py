"""A constant function: y = value, whatever x is."""

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def forward(value: Number) -> Number:
    """Value: y = value."""
    return value


@elementwise
def backward(dy: Number) -> Number:
    """Gradient: dx = 0, even where dy is not finite."""
    return type(dy)(0)
