import numpy as np
import pytest

from pycaffe_lite.blob import Blob
from pycaffe_lite.layer.normalization.standardize import Standardizer

N, C, INNER = 3, 2, 4
COLUMN = slice(None), np.newaxis


def values(seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(1, 2, (N, C, INNER)).astype(dtype)


def standardized(x):
    """By the definition: each channel with its own mean and biased deviation."""
    mean, deviation = x.mean((0, 2)), x.std((0, 2))
    return (x - mean[COLUMN]) / deviation[COLUMN]


@pytest.fixture
def standardizer():
    return Standardizer(Blob(dtype=np.float64))


def run(standardizer, x, *, in_place=False):
    mean, variance = standardizer.moments(x)
    y = x if in_place else np.empty_like(x)
    standardizer.forward(x, mean, 1 / np.sqrt(variance), y, keep=in_place)
    return y


def test_moments(standardizer):
    mean, variance = standardizer.moments(values())
    np.testing.assert_allclose(mean, values().mean((0, 2)), rtol=1e-13)
    np.testing.assert_allclose(variance, values().var((0, 2)), rtol=1e-13)


def test_values(standardizer):
    np.testing.assert_allclose(run(standardizer, values()), standardized(values()), rtol=1e-12)


def differences(function, x, dy, step=1e-6):
    """The gradient of the sum of dy function(x), value by value."""
    dx = np.empty_like(x)
    for i in np.ndindex(x.shape):
        low, high = x.copy(), x.copy()
        low[i] -= step
        high[i] += step
        dx[i] = (dy * (function(high) - function(low))).sum() / (2 * step)
    return dx


@pytest.mark.parametrize("in_place", [False, True])
def test_gradient_where_both_moments_depend_on_x(standardizer, in_place):
    dy, dx = values(1), np.empty((N, C, INNER))
    run(standardizer, values(), in_place=in_place)
    standardizer.backward(dy, dx)
    np.testing.assert_allclose(dx, differences(standardized, values(), dy), rtol=1e-6, atol=1e-8)


def test_gradient_where_the_mean_alone_depends_on_x(standardizer):
    x, dy = values(), values(1)
    standardizer.forward(x, x.mean((0, 2)), np.ones(C), np.empty_like(x), keep=False)
    dx = np.empty_like(x)
    standardizer.backward_mean(dy, dx)
    np.testing.assert_allclose(dx, dy - dy.mean((0, 2))[COLUMN], rtol=1e-12, atol=1e-14)


def test_gradient_where_both_are_given(standardizer):
    x, dy = values(), values(1)
    standardizer.forward(x, np.array([1.0, 2.0]), np.array([3.0, -0.5]), np.empty_like(x), keep=False)
    dx = dy.copy()
    standardizer.backward_fixed(dx, dx)
    np.testing.assert_allclose(dx, dy * np.array([3.0, -0.5])[COLUMN], rtol=1e-14)


def test_values_close_together_and_far_from_0_keep_their_digits():
    """float32 has no number near 1e4 + 0.00025, the mean of some of them: the rest of it is not lost."""
    standardizer = Standardizer(Blob())
    x = (1e4 + values() / 100).astype(np.float32)
    y = run(standardizer, x.copy())
    np.testing.assert_allclose(y, standardized(x.astype(np.float64)), atol=1e-5)
    dy, dx = values(1, np.float32), np.empty_like(x)
    standardizer.backward(dy, dx)
    assert abs(dx.sum((0, 2))).max() < 1e-3
