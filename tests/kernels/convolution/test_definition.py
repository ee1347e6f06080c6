"""The plain loops of a convolution and its gradients, against each other and against what is computed."""

import numpy as np
import pytest

from pycaffe_lite.kernels import convolution
from pycaffe_lite.kernels.convolution import Window, definition
from tests.kernels.convolution import cases

# image, outputs, channels per group, window
CASES = {
    "one pixel": ((1, 1, 1, 1), 1, Window(1, 1)),
    "padded": ((2, 3, 5, 4), 4, Window(3, 3, 1, 1)),
    "strides": ((1, 2, 7, 8), 3, Window(3, 2, 0, 1, 2, 3)),
    "dilated": ((1, 2, 8, 7), 2, Window(3, 2, 2, 1, 1, 1, 2, 3)),
    "groups": ((2, 4, 5, 5), 6, Window(2, 2, group=2)),
    "depthwise": ((1, 3, 5, 5), 3, Window(3, 3, 1, 1, group=3)),
}


def arrays(name):
    shape, M, window = CASES[name]
    numbers = np.random.default_rng(0)
    x = numbers.standard_normal(shape)
    w = numbers.standard_normal((M, shape[1] // window.group, window.kernel_h, window.kernel_w))
    sides = [
        (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, pad, stride, dilation in zip(
            shape[2:], window[:2], window[2:4], window[4:6], window[6:8], strict=True
        )
    ]
    return x, w, numbers.standard_normal(M), numbers.standard_normal((shape[0], M, *sides)), window


@pytest.mark.parametrize("name", CASES)
def test_kernels_compute_what_the_definition_says(name):
    x, w, bias, dy, window = arrays(name)
    wanted, got = np.empty_like(dy), np.empty_like(dy)
    definition.forward(x, w, bias, wanted, window)
    convolution.forward(x, w, bias, got, window)
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)
    wanted, got = np.empty_like(x), np.empty_like(x)
    definition.backward_data(dy, w, wanted, window)
    convolution.backward_data(dy, w, got, window)
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)
    wanted, got = np.ones_like(w), np.ones_like(w)
    definition.backward_weights(x, dy, wanted, window)
    convolution.backward_weights(x, dy, got, window)
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)
    wanted, got = np.ones_like(bias), np.ones_like(bias)
    definition.backward_bias(dy, wanted)
    convolution.backward_bias(dy, got)
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_the_forward_loops(name):
    """y is linear in x and in w: <dy, y> is <dx, x> and <dw, w>."""
    x, w, _, dy, window = arrays(name)
    y, dx, dw = np.empty_like(dy), np.empty_like(x), np.zeros_like(w)
    definition.forward(x, w, None, y, window)
    definition.backward_data(dy, w, dx, window)
    definition.backward_weights(x, dy, dw, window)
    assert np.vdot(dx, x) == pytest.approx(np.vdot(dy, y), rel=1e-10)
    assert np.vdot(dw, w) == pytest.approx(np.vdot(dy, y), rel=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_what_the_algorithms_are_compared_with_is_the_definition(name):
    x, w, _, dy, window = arrays(name)
    y, dx, dw = np.empty_like(dy), np.empty_like(x), np.zeros_like(w)
    definition.forward(x, w, None, y, window)
    definition.backward_data(dy, w, dx, window)
    definition.backward_weights(x, dy, dw, window)
    for (got, bound), wanted in zip(cases.definition(x, w, dy, window), (y, dx, dw), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)
        assert np.all(bound >= abs(got) - 1e-12)
