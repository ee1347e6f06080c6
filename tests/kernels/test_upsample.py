"""Larger planes from smaller ones, against loops."""

import numpy as np
import pytest

from pycaffe_lite.kernels import upsample

R = np.random.default_rng(0)
BOTH = pytest.mark.parametrize("py_func", [False, True])


def of(kernel, py_func):
    return kernel.py_func if py_func else kernel


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unpooling(dtype, py_func):
    x = R.normal(size=(3, 4)).astype(dtype)
    mask = R.integers(0, 9, size=(3, 4)).astype(dtype)
    y, right = np.full((3, 9), np.nan, dtype), np.zeros((3, 9))
    for n, i in np.ndindex(3, 4):
        right[n, int(mask[n, i])] = x[n, i]
    assert of(upsample.unpool, py_func)(x, mask, y) == 0
    np.testing.assert_array_equal(y, right)
    dy, dx = R.normal(size=(3, 9)).astype(dtype), np.full((3, 4), np.nan, dtype)
    of(upsample.pick, py_func)(dy, mask, dx)
    np.testing.assert_array_equal(dx, np.take_along_axis(dy, mask.astype(int), axis=1))


@pytest.mark.parametrize("place", [9.0, -1.0, np.nan, np.inf, 1e30])
def test_places_outside_of_the_plane(place):
    x, mask = np.ones((1, 2)), np.array([[place, 3]])
    y, dx = np.empty((1, 9)), np.empty((1, 2))
    assert upsample.unpool(x, mask, y) == 1
    assert np.flatnonzero(y).tolist() == [3]
    upsample.pick(np.ones((1, 9)), mask, dx)
    assert dx.tolist() == [[0, 1]]


@BOTH
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_repeating(scale, py_func):
    x = R.normal(size=(2, 3, 2))
    y = np.empty((2, 3 * scale, 2 * scale))
    of(upsample.repeat, py_func)(x, scale, y)
    for n, h, w in np.ndindex(*y.shape):
        assert y[n, h, w] == x[n, h // scale, w // scale]
    dx = np.empty_like(x)
    of(upsample.sum_blocks, py_func)(y, scale, dx)
    np.testing.assert_allclose(dx, x * scale**2, rtol=1e-12)
