"""Convolution over any number of spatial axes, and its gradients: `im2col` and a matrix product per image.

The functions are those of `convolution`, which needs no columns but handles two spatial axes only. A
deconvolution uses the same three functions in reverse.
"""

import math
from collections.abc import Iterator

import numpy as np

from pycaffe_lite.kernels.gemm import gemm
from pycaffe_lite.kernels.im2col import Axes, col2im, im2col
from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.simd.sums import FOLDED


def _columns(w: Array, y: Array, group: int) -> Array:
    """An array for the columns of one image: (C * prod(kernel), *output)."""
    return np.empty((group * math.prod(w.shape[1:]), *y.shape[2:]), y.dtype)


def _groups(w: Array, y: Array, col: Array, group: int) -> Iterator[tuple[Array, Array, Array]]:
    """The matrices of each group: w (M, K), one image's y (M, P), col (K, P), M and K those of a group."""
    P = math.prod(y.shape[1:])
    yield from zip(
        w.reshape(group, w.shape[0] // group, -1),
        y.reshape(group, y.shape[0] // group, P),
        col.reshape(group, col.shape[0] // group, P),
        strict=True,
    )


def forward(x: Array, w: Array, bias: Array | None, y: Array, axes: Axes, group: int) -> None:
    """Compute y = w * x + bias.

    Args:
        x: (N, C, *image); the arrays are contiguous, of one type.
        w: (M, C / group, *kernel).
        bias: (M,), or None.
        y: (N, M, *output), overwritten.
        axes: kernel, padding, stride and dilation along the spatial axes, of which there is at least one.
        group: number of groups of channels.
    """
    col = _columns(w, y, group)
    for image, result in zip(x, y, strict=True):
        im2col(image, axes, col)
        for a, c, b in _groups(w, result, col, group):
            gemm(a, b, c)
    if bias is not None:
        y += bias.reshape(-1, *(1,) * (y.ndim - 2))


def backward_data(dy: Array, w: Array, dx: Array, axes: Axes, group: int) -> None:
    """Compute dx, overwritten, the gradient with respect to x. Shapes as for `forward`."""
    col = _columns(w, dy, group)
    for result, image in zip(dy, dx, strict=True):
        for a, c, b in _groups(w, result, col, group):
            gemm(a, c, b, trans_a=True)
        col2im(col, axes, image)


def backward_weights(x: Array, dy: Array, dw: Array, axes: Axes, group: int) -> None:
    """Add to dw the gradient with respect to w. Shapes as for `forward`.

    The sums of FOLDED images, kept in the arrays' type, are added up in float64.
    """
    col, total, part = _columns(dw, dy, group), np.zeros(dw.shape), np.empty_like(dw)
    for n, (image, result) in enumerate(zip(x, dy, strict=True)):
        im2col(image, axes, col)
        for a, c, b in _groups(part, result, col, group):
            gemm(c, b, a, trans_b=True, beta=float(n % FOLDED > 0))
        if n % FOLDED == FOLDED - 1 or n == len(x) - 1:
            total += part
    dw += total
