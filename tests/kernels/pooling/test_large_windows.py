"""Large windows: which they are, what they give, and that their sums keep their digits."""

import numpy as np
import pytest

from pycaffe_lite.kernels import pooling
from pycaffe_lite.kernels.pooling import PoolingWindow, large_windows
from pycaffe_lite.kernels.pooling.large_windows import (
    MOST_LINES,
    is_large_mean,
    is_shared,
    is_shared_by_lines,
)
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched
from tests.kernels.threads import same_bits

NONE = np.empty(0, np.float32)
# of planes of 19 x 23; the last one reaches beyond, the one before lies outside at its end
WINDOWS = [
    PoolingWindow(19, 23, 0, 0, 1, 1),
    PoolingWindow(17, 3, 2, 1, 2, 3),
    PoolingWindow(4, 20, 1, 5, 3, 1),
    PoolingWindow(20, 20, 6, 6, 5, 9),
]


def outputs_of(window):
    sides = zip((19, 23), window[:2], window[2:4], window[4:], strict=True)
    return tuple(-(-(size + 2 * pad - kernel) // stride) + 2 for size, kernel, pad, stride in sides)


def weights_of(window):
    """Of each output and value: 1 / area if the window holds it."""
    weights = np.zeros((*outputs_of(window), 19, 23))
    for p, q in np.ndindex(*outputs_of(window)):
        h, w = p * window.stride_h - window.pad_h, q * window.stride_w - window.pad_w
        h1, w1 = h + window.kernel_h, w + window.kernel_w
        area = (min(h1, 19 + window.pad_h) - h) * (min(w1, 23 + window.pad_w) - w)
        if h < 19 and w < 23:
            weights[p, q, max(h, 0) : h1, max(w, 0) : w1] = 1 / area
    return weights


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_means(window):
    x, weights = numbers(3, 19, 23), weights_of(window)
    y = guarded_nans((3, *outputs_of(window)), np.float32)
    large_windows.mean_forward(guarded(x), window, y)
    assert np.allclose(y, np.einsum("pqhw,nhw->npq", weights, x), atol=1e-6)
    assert margins_untouched(y)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_gradients_of_means(window, slope):
    x, dy = numbers(3, 19, 23), numbers(3, *outputs_of(window), seed=1)
    dx = guarded_nans(x.shape, np.float32)
    values = NONE if slope == 1 else x.reshape(-1)
    large_windows.mean_backward(guarded(dy), window, dx, values, np.float32(slope))
    wanted = np.einsum("pqhw,npq->nhw", weights_of(window), dy.astype(float))
    assert np.allclose(dx, np.where(x > 0, wanted, slope * wanted), atol=1e-5)
    assert margins_untouched(dx)


@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_gradients_of_maxima(slope):
    x, dy = numbers(3, 4, 5), numbers(3, 6, 7, seed=1)
    index = np.random.default_rng(2).integers(-1, 20, dy.shape).astype(np.int32)
    dx, wanted = guarded_nans(x.shape, np.float32), np.zeros((3, 20))
    for (n, p, q), place in np.ndenumerate(index):
        if place >= 0:
            wanted[n, place] += dy[n, p, q]
    values = NONE if slope == 1 else x.reshape(-1)
    large_windows.index_backward(dy, index, dx, values, np.float32(slope))
    wanted = wanted.reshape(x.shape)
    assert np.allclose(dx, np.where(x > 0, wanted, slope * wanted), atol=1e-5)
    assert margins_untouched(dx)


def test_which_windows_are_large():
    most = MOST_LINES
    assert not is_large_mean(PoolingWindow(most, most, 0, 0, 1, 1))
    assert is_large_mean(PoolingWindow(1, most + 1, 0, 0, 1, 1))
    assert is_large_mean(PoolingWindow(most + 1, 1, 0, 0, 1, 1))
    assert not is_shared_by_lines(PoolingWindow(2 * most, most, 0, 0, 2, 1))
    assert is_shared_by_lines(PoolingWindow(2 * most + 2, most, 0, 0, 2, 1))
    assert is_shared_by_lines(PoolingWindow(1, most + 1, 0, 0, 1, 1))
    assert not is_shared(PoolingWindow(8, 8, 0, 0, 1, 1))
    assert not is_shared(PoolingWindow(17, 16, 0, 0, 2, 2))
    assert is_shared(PoolingWindow(9, 8, 0, 0, 1, 1))


def test_sums_of_equal_values_keep_their_digits():
    """Kept in float32, they would be off by 1e-5; all of them share one maximum, and lie in all windows."""
    x, window = np.full((1, 400, 400), 0.1, np.float32), PoolingWindow(400, 400, 0, 0, 1, 1)
    y = np.empty((1, 1, 1), np.float32)
    pooling.mean_forward(x, window, y)
    assert y == x[0, 0, 0]
    dy, index, dx = (
        np.full((1, 300, 300), 0.1, np.float32),
        np.zeros((1, 300, 300), np.int32),
        np.empty((1, 300, 300), np.float32),
    )
    window = PoolingWindow(300, 300, 150, 150, 1, 1)
    pooling.index_backward(dy, index, window, dx)
    assert dx[0, 0, 0] == pytest.approx(90_000 * float(dy[0, 0, 0]), rel=2e-7)
    pooling.mean_backward(np.full((1, 300, 300), 90_000, np.float32), window, dx)
    assert dx[0, 150, 150] > 0


def test_same_bits_for_every_number_of_threads():
    x, window = numbers(70, 19, 23), WINDOWS[1]

    def compute():
        y, dx = np.empty((70, *outputs_of(window)), np.float32), np.empty_like(x)
        large_windows.mean_forward(x, window, y)
        large_windows.mean_backward(y, window, dx, NONE, np.float32(1))
        return y, dx

    assert same_bits(compute)


@pytest.mark.parametrize(
    "window", [PoolingWindow(16, 3, 2, 1, 2, 3), PoolingWindow(5, 16, 1, 5, 3, 1)], ids=str
)
def test_windows_just_too_small_give_the_same_means(window):
    x, dy = numbers(3, 19, 23), numbers(3, *outputs_of(window), seed=1)
    assert not is_large_mean(window)
    y, other = np.empty_like(dy), np.empty_like(dy)
    pooling.mean_forward(x, window, y)
    large_windows.mean_forward(x, window, other)
    assert np.allclose(y, other, atol=1e-6)
    dx, other = np.empty_like(x), np.empty_like(x)
    pooling.mean_backward(dy, window, dx)
    large_windows.mean_backward(dy, window, other, NONE, np.float32(1))
    assert np.allclose(dx, other, atol=1e-5)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_pooling_hands_large_windows_on(window):
    assert is_large_mean(window)
    x, y = numbers(3, 19, 23), np.empty((3, *outputs_of(window)), np.float32)
    other = np.empty_like(y)
    pooling.mean_forward(x, window, y)
    large_windows.mean_forward(x, window, other)
    assert np.array_equal(y, other)
