"""Power of a scaled and shifted value over flat arrays."""

from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.flat import flat_kernel


@flat_kernel
def forward(x: Array, power: float, scale: float, shift: float, y: Array) -> None:
    """y[i] = (shift + scale x[i])^power.  x, y: (count,); y may be x."""
    T = x.dtype.type
    p, a, b = T(power), T(scale), T(shift)
    for i in range(x.size):
        base = a * x[i] + b
        if p == 1:
            y[i] = base
        elif p == 2:
            y[i] = base * base
        else:
            y[i] = base**p


@flat_kernel
def backward(x: Array, y: Array, dy: Array, power: float, scale: float, shift: float, dx: Array) -> None:
    """dx[i] = dy[i] power scale y[i] / (shift + scale x[i]), the factors in Caffe's order.

    Where the base is 0 that is 0/0, NaN, as in Caffe; powers 1 and 2 do without the quotient.
    All arrays: (count,); dx may be dy.
    """
    T = x.dtype.type
    p, a, b, pa = T(power), T(scale), T(shift), T(power * scale)
    for i in range(x.size):
        if p == 1:
            slope = pa
        elif p == 2:
            slope = pa * (a * x[i] + b)
        elif b == 0:
            slope = p * (y[i] / x[i])
        else:
            slope = pa * (y[i] / (a * x[i] + b))
        dx[i] = dy[i] * slope
