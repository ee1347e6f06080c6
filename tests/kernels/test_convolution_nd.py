"""Convolution over any number of axes: the 2-D kernels agree, and the gradients are its transposes."""

import numpy as np
import pytest

from pycaffe_lite.kernels import convolution, convolution_nd
from pycaffe_lite.kernels.convolution import Window
from pycaffe_lite.kernels.im2col import Axes
from pycaffe_lite.kernels.simd.sums import FOLDED


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_two_axes_agree_with_the_kernels_for_planes():
    x, w, bias = values(2, 4, 7, 9), values(6, 2, 3, 2, seed=1), values(6, seed=2)
    window = Window(3, 2, 1, 0, 2, 1, 1, 2, 2)
    axes = Axes.of((3, 2), (1, 0), (2, 1), (1, 2))
    y, other = np.empty((2, 6, 4, 7)), np.empty((2, 6, 4, 7))
    convolution.forward(x, w, bias, y, window)
    convolution_nd.forward(x, w, bias, other, axes, 2)
    assert np.allclose(y, other)
    dx, other_dx, dw, other_dw = np.empty_like(x), np.empty_like(x), np.ones_like(w), np.ones_like(w)
    convolution.backward_data(y, w, dx, window)
    convolution_nd.backward_data(y, w, other_dx, axes, 2)
    assert np.allclose(dx, other_dx)
    convolution.backward_weights(x, y, dw, window)
    convolution_nd.backward_weights(x, y, other_dw, axes, 2)
    assert np.allclose(dw, other_dw)


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize(
    ("image", "kernel", "pad", "stride", "dilation", "output"),
    [
        ((9,), (3,), (1,), (2,), (1,), (5,)),
        ((3, 4, 5), (2, 3, 2), (0, 1, 1), (1, 2, 1), (2, 1, 1), (1, 2, 6)),
        ((2, 3, 2, 3), (1, 2, 2, 1), (0, 0, 0, 0), (1, 1, 1, 2), (1, 1, 1, 1), (2, 2, 1, 2)),
    ],
)
def test_gradients_are_the_transposed_maps(image, kernel, pad, stride, dilation, output, group):
    """<dy, conv(x, w)> = <dx, x> = <dw, w> for a map that is linear in x and in w."""
    axes = Axes.of(kernel, pad, stride, dilation)
    x, w = values(2, 4, *image), values(6, 4 // group, *kernel, seed=1)
    dy, y = values(2, 6, *output, seed=2), np.empty((2, 6, *output))
    convolution_nd.forward(x, w, None, y, axes, group)
    dx, dw = np.empty_like(x), np.zeros_like(w)
    convolution_nd.backward_data(dy, w, dx, axes, group)
    convolution_nd.backward_weights(x, dy, dw, axes, group)
    product = (dy * y).sum()
    assert np.isclose((dx * x).sum(), product)
    assert np.isclose((dw * w).sum(), product)


def test_gradients_of_many_images_are_added_up_in_float64():
    """2^24 + 1 - 2^24, each from images of its own: in float32 the 1 would be lost."""
    axes = Axes.of((1,), (0,), (1,), (1,))
    x, dy = np.zeros((3 * FOLDED, 1, 1), np.float32), np.ones((3 * FOLDED, 2, 1), np.float32)
    x[:FOLDED], x[FOLDED], x[2 * FOLDED :] = 2**24 / FOLDED, 1, -(2**24) / FOLDED
    dw = np.full((2, 1, 1), 5, np.float32)
    convolution_nd.backward_weights(x, dy, dw, axes, 1)
    assert np.all(dw == 6)


def test_bias_is_added_to_every_position():
    axes, bias = Axes.of((1, 1, 1), (0,) * 3, (1,) * 3, (1,) * 3), values(2)
    y = np.empty((1, 2, 2, 3, 4))
    convolution_nd.forward(np.zeros((1, 1, 2, 3, 4)), np.ones((2, 1, 1, 1, 1)), bias, y, axes, 1)
    assert np.array_equal(y, np.broadcast_to(bias[:, None, None, None], y.shape))
