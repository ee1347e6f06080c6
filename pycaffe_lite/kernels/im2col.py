"""Copies between images with any number of spatial axes and the columns of a matrix.

For one image x (C, S_0, S_1, ..), kernel offsets i_a and output positions o_a along each spatial axis a,

    col[(c, i_0, i_1, ..), (o_0, o_1, ..)] = x[c, s_0, s_1, ..],  s_a = o_a stride_a - pad_a + i_a dilation_a

and 0 where s_a lies outside the image. A convolution is then `gemm` of the weights and col; the 2-D
kernels of `convolution` never build col.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, parallel_kernel


class Axes(NamedTuple):
    """Kernel size, padding, stride and dilation, each an int64 array with an entry per spatial axis."""

    kernel: Array
    pad: Array
    stride: Array
    dilation: Array

    @classmethod
    def of(
        cls, kernel: tuple[int, ...], pad: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
    ) -> "Axes":
        """The axes that tuples of integers describe."""
        return cls(*(np.array(values, np.int64) for values in (kernel, pad, stride, dilation)))


def im2col(x: Array, axes: Axes, col: Array) -> None:
    """Fill col from one image; see the module for the equation.

    Args:
        x: (C, *spatial), contiguous, at least one spatial axis.
        axes: the window.
        col: (C * prod(kernel), *output), contiguous, the type of x; overwritten.
    """
    shape, out = np.array(x.shape[1:], np.int64), np.array(col.shape[1:], np.int64)
    _walk(x.reshape(-1), shape, axes, out, col.reshape(col.shape[0], -1), x.shape[0], False)


def col2im(col: Array, axes: Axes, x: Array) -> None:
    """Overwrite x with the sum of the elements of col that `im2col` takes from each of its elements."""
    shape, out = np.array(x.shape[1:], np.int64), np.array(col.shape[1:], np.int64)
    x.fill(0)
    _walk(x.reshape(-1), shape, axes, out, col.reshape(col.shape[0], -1), x.shape[0], True)


@parallel_kernel
def _walk(x: Array, shape: Array, axes: Axes, out: Array, col: Array, channels: int, back: bool) -> None:
    """Copy x to col or, with `back`, add col to x; the last axis in the inner loop.

    x: flat image; col: (channels * prod(kernel), prod(out)). A task is a channel.
    """
    last = shape.size - 1
    size, area, width = 1, 1, out[last]
    for a in range(shape.size):
        size *= shape[a]
        area *= axes.kernel[a]
    rows = col.shape[1] // max(1, width)
    for c in prange(channels):
        for k in range(area):
            line = col[c * area + k]
            for row in range(rows):
                at, stride, k_rest, row_rest, inside = 0, 1, k // axes.kernel[last], row, True
                for a in range(last - 1, -1, -1):
                    stride *= shape[a + 1]
                    o, i = row_rest % out[a], k_rest % axes.kernel[a]
                    row_rest, k_rest = row_rest // out[a], k_rest // axes.kernel[a]
                    s = o * axes.stride[a] - axes.pad[a] + i * axes.dilation[a]
                    inside = inside and 0 <= s < shape[a]
                    at += s * stride
                first = k % axes.kernel[last] * axes.dilation[last] - axes.pad[last]
                start = c * size + at
                for o in range(width):
                    s = first + o * axes.stride[last]
                    there = inside and 0 <= s < shape[last]
                    if back:
                        if there:
                            x[start + s] += line[row * width + o]
                    else:
                        line[row * width + o] = x[start + s] if there else 0
