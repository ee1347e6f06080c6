"""Pooling against a loop over windows, for shapes that leave every kind of remainder."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycaffe_lite.kernels import pooling
from pycaffe_lite.kernels.pooling import LOWEST, PoolingWindow
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched
from tests.kernels.threads import same_bits

sides = st.integers(1, 5)
cases = st.fixed_dictionaries(
    {
        "image": st.tuples(st.integers(1, 12), st.integers(1, 80)),
        "kernel": st.tuples(sides, sides),
        "stride": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "pad": st.tuples(st.integers(0, 2), st.integers(0, 2)),
        "planes": st.integers(1, 3),
        "dtype": st.sampled_from([np.float32, np.float64]),
        "seed": st.integers(0, 100),
    }
)


def window_of(case):
    pad = [min(p, k - 1) for p, k in zip(case["pad"], case["kernel"], strict=True)]
    return PoolingWindow(*case["kernel"], *pad, *case["stride"])


def outputs_of(image, window):
    """Rounded up, one more than Caffe makes: there is always a window that lies outside."""
    room = (n + 2 * p - k for n, p, k in zip(image, window[2:4], window[:2], strict=True))
    return tuple(max(1, -(-r // s) + 2) for r, s in zip(room, window[4:], strict=True))


def values(case, scale=8):
    """Few different values, so that there are ties."""
    numbers = np.random.default_rng(case["seed"])
    shape = case["planes"], *case["image"]
    return (numbers.integers(-scale, scale, shape) / 8).astype(case["dtype"])


def each_window(x, window, outputs):
    """Yields (n, p, q), rows and columns of the image under the window, and the area of the mean."""
    kh, kw, ph, pw, sh, sw = window
    _, H, W = x.shape
    for n, p, q in np.ndindex(len(x), *outputs):
        h, w = p * sh - ph, q * sw - pw
        rows, columns = range(max(h, 0), min(h + kh, H)), range(max(w, 0), min(w + kw, W))
        yield (n, p, q), rows, columns, (min(h + kh, H + ph) - h) * (min(w + kw, W + pw) - w)


@settings(deadline=None, max_examples=60)
@given(cases)
def test_maxima_and_their_places(case):
    window, x = window_of(case), values(case)
    outputs = outputs_of(case["image"], window)
    y, index = np.empty((len(x), *outputs), x.dtype), np.empty((len(x), *outputs), np.int32)
    pooling.max_forward(x, window, y, index)
    dx, dy = np.full_like(x, np.nan), np.arange(y.size, dtype=x.dtype).reshape(y.shape)
    pooling.index_backward(dy, index, window, dx)
    right_dx = np.zeros_like(x)
    for at, rows, columns, _ in each_window(x, window, outputs):
        best, place = LOWEST, -1
        for h in rows:
            for w in columns:
                if x[at[0], h, w] > best:
                    best, place = x[at[0], h, w], h * x.shape[2] + w
        assert (y[at], index[at]) == (best, place)
        if place >= 0:
            right_dx[at[0]].flat[place] += dy[at]
    assert np.array_equal(dx, right_dx)
    pooling.index_backward(dy, index, window, dx, x, 0.5)
    assert np.array_equal(dx, np.where(x > 0, right_dx, right_dx / 2))
    without = np.empty_like(y)
    pooling.max_forward(x, window, without, None)
    assert np.array_equal(without, y)


def scattered(dy, index, x_shape):
    """dy added one by one, in the order of the windows, where the indices say."""
    dx = np.zeros(x_shape, dy.dtype)
    for at in zip(*np.nonzero(index >= 0), strict=True):
        dx[at[0]].flat[index[at]] += dy[at]
    return dx


@settings(deadline=None, max_examples=200)
@given(
    kernel=st.integers(2, 3),
    pad=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    image=st.tuples(st.integers(1, 9), st.one_of(st.integers(14, 70), st.sampled_from([15, 16, 17, 32, 33]))),
    more=st.tuples(*[st.sampled_from([-9, -1, 0, 1])] * 2),
    planes=st.integers(1, 5),
    pick=st.sampled_from([slice(None), slice(1), slice(-1, None)]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 1000),
)
def test_gradients_of_windows_of_2_and_3(kernel, pad, image, more, planes, pick, dtype, seed):
    """Any place of each window may be the maximum's, and there may be fewer windows than fit, or more."""
    numbers = np.random.default_rng(seed)
    pad = [min(p, kernel - 1) for p in pad]
    window = PoolingWindow(kernel, kernel, *pad, 2, 2)
    outputs = [max(1, (n + 2 * p - kernel) // 2 + 1 + m) for n, p, m in zip(image, pad, more, strict=True)]
    x = np.zeros((planes, *image))
    # Before and after the indices stand places of the plane's corners: whoever looks at them takes a NaN.
    margin = 200
    index = np.zeros(planes * np.prod(outputs) + 2 * margin, np.int32)
    index[-margin:] = np.prod(image) - 1
    index = index[margin:-margin].reshape(planes, *outputs)
    for at, rows, columns, _ in each_window(x, window, outputs):
        places = [h * image[1] + w for h in rows for w in columns]
        index[at] = numbers.choice([*places[pick], -1])
    dy = numbers.normal(size=index.shape)
    dy[numbers.random(dy.shape) < 0.1] = -0.0
    dy = guarded(dy.astype(dtype))
    dx = guarded_nans(x.shape, dtype)
    pooling.index_backward(dy, index, window, dx)
    assert dx.tobytes() == scattered(dy, index, x.shape).tobytes()
    assert margins_untouched(dx)


@settings(deadline=None, max_examples=60)
@given(cases)
def test_means(case):
    window, x = window_of(case), values(case)
    outputs = outputs_of(case["image"], window)
    y = np.empty((len(x), *outputs), x.dtype)
    pooling.mean_forward(x, window, y)
    dx, dy = np.full_like(x, np.nan), np.arange(y.size, dtype=x.dtype).reshape(y.shape) / 64
    pooling.mean_backward(dy, window, dx)
    right_dx = np.zeros(x.shape)
    for at, rows, columns, area in each_window(x, window, outputs):
        inside = x[at[0], rows.start : rows.stop, columns.start : columns.stop]
        right = inside.sum(dtype=np.float64) / area if inside.size else 0
        assert abs(y[at] - right) <= 1e-6
        if inside.size:
            right_dx[at[0], rows.start : rows.stop, columns.start : columns.stop] += dy[at] / area
    assert np.allclose(dx, right_dx, rtol=1e-5, atol=1e-5)
    through = np.full_like(x, np.nan)
    pooling.mean_backward(dy, window, through, x, 0.5)
    assert np.array_equal(through, np.where(x > 0, dx, dx / 2))


@settings(deadline=None, max_examples=30)
@given(cases)
def test_stochastic(case):
    window, x = window_of(case), abs(values(case))
    outputs = outputs_of(case["image"], window)
    shape = len(x), *outputs
    draws = np.random.default_rng(1).random(shape).astype(x.dtype)
    y, index, mean = np.empty(shape, x.dtype), np.empty(shape, np.int32), np.empty(shape, x.dtype)
    pooling.sample_forward(x, window, draws, y, index)
    pooling.weighted_forward(x, window, mean)
    for at, rows, columns, _ in each_window(x, window, outputs):
        places = [h * x.shape[2] + w for h in rows for w in columns]
        inside = x[at[0]].reshape(-1)[places]
        if not places:
            assert (index[at], y[at], mean[at]) == (-1, 0, 0)
            continue
        assert y[at] == x[at[0]].flat[index[at]]
        sums = np.cumsum(inside)
        assert index[at] == places[np.argmax(sums >= draws[at] * sums[-1])]
        right = (inside**2).sum() / inside.sum() if inside.sum() else 0
        assert abs(mean[at] - right) <= 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_rows_length_of_every_remainder(dtype):
    for width in range(1, 70):
        for stride, kernel in itertools.product((1, 2), (1, 2, 3, 4)):
            x = np.random.default_rng(width).normal(size=(1, 3, width)).astype(dtype)
            window = PoolingWindow(3, min(kernel, width), 0, 0, 1, stride)
            outputs = (width - window.kernel_w) // stride + 1
            y = np.empty((1, 1, outputs), dtype)
            views = np.lib.stride_tricks.sliding_window_view(x[0], window[:2])[0, ::stride]
            pooling.max_forward(x, window, y, None)
            assert np.array_equal(y[0, 0], views.max((1, 2)))
            pooling.mean_forward(x, window, y)
            assert np.allclose(y[0, 0], views.mean((1, 2)), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maxima_of_what_is_no_number_or_lower_than_all(dtype):
    """Nothing is above LOWEST there, or the comparison fails: the window has no maximum, as in Caffe."""
    x = np.full((1, 4, 8), -np.inf, dtype)
    x[0, :2, :2], x[0, 2:, 2:4], x[0, 3, 3] = np.nan, np.nan, -3
    y, index = np.empty((1, 2, 4), dtype), np.empty((1, 2, 4), np.int32)
    pooling.max_forward(x, PoolingWindow(2, 2, 0, 0, 2, 2), y, index)
    assert y[0].tolist() == [[LOWEST] * 4, [LOWEST, -3, LOWEST, LOWEST]]
    assert index[0].tolist() == [[-1] * 4, [-1, 27, -1, -1]]


def test_draws_at_either_end():
    """Zeros before the first value that is not are taken by a draw of 0, as the sum reaches 0 there."""
    x, window = np.float32([[[0, 1, 2, 0]]]), PoolingWindow(1, 4, 0, 0, 1, 1)
    for draw, place in ((0.0, 0), (0.3, 1), (0.34, 2), (1.0, 2)):
        y, index = np.empty((1, 1, 1), np.float32), np.empty((1, 1, 1), np.int32)
        pooling.sample_forward(x, window, np.full_like(y, draw), y, index)
        assert (index.item(), y.item()) == (place, x[0, 0, place])


@pytest.mark.parametrize("window", [(2, 2, 0, 0, 2, 2), (3, 2, 1, 1, 2, 1), (4, 4, 0, 0, 1, 1)])
def test_gradients_of_weighted_means_are_those_of_small_steps(window):
    window, numbers, eps = PoolingWindow(*window), np.random.default_rng(0), 1e-6
    x = numbers.uniform(0.5, 1, (2, 5, 6))
    shape = 2, *outputs_of((5, 6), window)
    dy, y, dx = numbers.standard_normal(shape), np.empty(shape), np.full_like(x, np.nan)
    pooling.weighted_backward(x, dy, window, dx)
    for at in np.ndindex(*x.shape):
        values = []
        for step in (eps, -2 * eps, eps):
            x[at] += step
            pooling.weighted_forward(x, window, y)
            values.append(np.vdot(dy, y))
        assert dx[at] == pytest.approx((values[0] - values[1]) / (2 * eps), abs=1e-7)


def test_weighted_means_of_nothing_are_zero():
    x, window = np.zeros((1, 2, 4), np.float32), PoolingWindow(2, 2, 0, 0, 2, 2)
    x[0, :, 2:] = [[-1, -2], [1, 1]]
    y, dx = np.empty((1, 1, 2), np.float32), np.full_like(x, np.nan)
    pooling.weighted_forward(x, window, y)
    pooling.weighted_backward(x, np.ones_like(y), window, dx)
    assert not y.any()
    assert not dx.any()


@pytest.mark.parametrize(
    ("window", "W", "Q", "width"),
    [
        ((2, 2, 0, 0, 2, 2), 9, 4, 9),
        ((3, 3, 1, 1, 2, 2), 9, 5, 11),  # 8 + 3, of padding, row and padding
        ((3, 3, 1, 1, 2, 2), 10, 6, 13),  # the last window reaches beyond the padding
        ((3, 1, 0, 2, 1, 1), 9, 13, 13),
        ((2, 2, 0, 0, 1, 3), 20, 6, 0),
        ((2, 2, 0, 0, 2, 2), 6, 3, 0),
    ],
)
def test_rows_are_as_wide_as_their_windows_reach(window, W, Q, width):
    assert pooling._padded_width(PoolingWindow(*window), W, Q) == width


def test_nothing_is_written_beyond_the_arrays():
    memory = np.full(1000, 7, np.float32)
    x, y = memory[100:300].reshape(1, 10, 20), memory[500:590].reshape(1, 5, 18)
    x[...] = np.random.default_rng(0).normal(size=x.shape)
    window = PoolingWindow(3, 3, 0, 0, 2, 1)
    for forward in (
        lambda: pooling.max_forward(x, window, y, None),
        lambda: pooling.mean_forward(x, window, y),
    ):
        forward()
        assert (memory[:100] == 7).all()
        assert (memory[300:500] == 7).all()
        assert (memory[590:] == 7).all()
    y[...] = 1
    pooling.mean_backward(y, window, x)
    assert (memory[:100] == 7).all()
    assert (memory[300:500] == 7).all()


def test_results_do_not_depend_on_threads():
    x = np.random.default_rng(0).normal(size=(150, 13, 17)).astype(np.float32)
    window = PoolingWindow(3, 3, 1, 1, 2, 2)

    def compute():
        y, index = np.empty((150, 7, 9), x.dtype), np.empty((150, 7, 9), np.int32)
        mean, dx, dmean = np.empty_like(y), np.empty_like(x), np.empty_like(x)
        pooling.max_forward(x, window, y, index)
        pooling.index_backward(y, index, window, dx)
        pooling.mean_forward(x, window, mean)
        pooling.mean_backward(mean, window, dmean)
        return y, index, mean, dx, dmean

    assert same_bits(compute)


def test_the_source_runs_as_python_too():
    x = np.arange(24, dtype=np.float64).reshape(1, 4, 6)
    window = PoolingWindow(2, 2, 0, 0, 2, 2)
    dy, compiled, plain = np.ones((1, 2, 3), np.float64), np.empty_like(x), np.empty_like(x)
    pooling.weighted_backward(x, dy, window, compiled)
    pooling.weighted_backward.py_func(x, dy, window, plain)
    assert np.allclose(compiled, plain)
