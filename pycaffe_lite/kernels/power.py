"""Power of a scaled and shifted value: y = (shift + scale x)^power."""

from pycaffe_lite.kernels.elementwise import Number, elementwise


@elementwise
def forward(x: Number, power: Number, scale: Number, shift: Number) -> Number:
    """Value: y = (shift + scale x)^power."""
    T, base = type(x), scale * x + shift
    if power == T(1):
        return base
    return base * base if power == T(2) else base**power


@elementwise
def backward(
    x: Number, y: Number, dy: Number, power: Number, scale: Number, shift: Number, power_scale: Number
) -> Number:
    """Gradient: dx = dy power scale y / (shift + scale x), the factors in Caffe's order.

    Where the base is 0 that is 0/0, NaN, as in Caffe; powers 1 and 2 do without the quotient. power_scale is
    the product of power and scale.
    """
    T, base = type(x), scale * x + shift
    if power == T(1):
        return dy * power_scale
    if power == T(2):
        return dy * (power_scale * base)
    if shift == T(0):
        return dy * (power * (y / x))
    return dy * (power_scale * (y / base))
