"""Pooling over regions against loops."""

import math

import numpy as np
import pytest

from pycaffe_lite.kernels import regions

R = np.random.default_rng(0)
BOTH = pytest.mark.parametrize("py_func", [False, True])
ROWS = np.array(
    [
        [0, 0, 0, 31, 23],
        [1, 8, 4, 20, 20],
        [1, 7.9, 3.9, 8.1, 4.1],
        [0, -40, -40, 90, 90],  # beyond the map
        [0, 200, 200, 300, 300],  # outside of it
        [1, 20, 20, 8, 4],  # the wrong way round
        [0, 4, 4, 4, 4],
    ],
    np.float32,
)


def rounded(value):
    return math.floor(value + 0.5) if value >= 0 else -math.floor(0.5 - value)


def max_pooled(x, rows, P, Q, scale, pad):
    """The maximum of each bin, and where its gradient goes."""
    y = np.zeros((len(rows), x.shape[1], P, Q), np.float32)
    places = np.full((*y.shape, 3), -1)
    for r, (image, *region) in enumerate(rows):
        across, down = pad * (region[2] - region[0] + 1), pad * (region[3] - region[1] + 1)
        x1, y1 = rounded((region[0] - across) * scale), rounded((region[1] - down) * scale)
        x2, y2 = rounded((region[2] + across) * scale), rounded((region[3] + down) * scale)
        bin_h = np.float32(max(y2 - y1 + 1, 1)) / np.float32(P)
        bin_w = np.float32(max(x2 - x1 + 1, 1)) / np.float32(Q)
        for c, p, q in np.ndindex(x.shape[1], P, Q):
            top, bottom = math.floor(p * bin_h) + y1, math.ceil((p + 1) * bin_h) + y1
            left, right = math.floor(q * bin_w) + x1, math.ceil((q + 1) * bin_w) + x1
            cells = [
                (h, w)
                for h in range(max(top, 0), min(bottom, x.shape[2]))
                for w in range(max(left, 0), min(right, x.shape[3]))
            ]
            if cells:
                plane = x[int(image), c]
                best = max(cells, key=plane.__getitem__)
                y[r, c, p, q] = plane[best]
                if x2 >= x1 and y2 >= y1:
                    places[r, c, p, q] = int(image), *best
    return y, places


@BOTH
@pytest.mark.parametrize(("P", "Q", "scale", "pad"), [(2, 3, 0.25, 0), (7, 7, 0.25, 0), (2, 2, 0.25, 0.2)])
def test_the_maximum_of_each_bin(P, Q, scale, pad, py_func):
    x = R.normal(size=(2, 2, 6, 8)).astype(np.float32)
    y, index = np.empty((len(ROWS), 2, P, Q), np.float32), np.empty((len(ROWS), 2, P, Q), np.int32)
    forward, backward = (k.py_func if py_func else k for k in (regions.max_forward, regions.max_backward))
    forward(x, ROWS, scale, pad, y, index)
    right, places = max_pooled(x, ROWS, P, Q, scale, pad)
    np.testing.assert_array_equal(y, right)
    dy, dx, right_dx = R.normal(size=y.shape).astype(np.float32), np.zeros_like(x), np.zeros(x.shape)
    backward(dy, ROWS, scale, pad, index, dx)
    for place in np.ndindex(*y.shape):
        image, h, w = places[place]
        if image >= 0:
            right_dx[image, place[1], h, w] += dy[place]
    np.testing.assert_allclose(dx, right_dx, rtol=1e-5, atol=1e-5)


def test_of_equal_values_the_first_gets_the_gradient():
    x = np.ones((1, 1, 3, 3), np.float32)
    y, index = np.empty((1, 1, 1, 1), np.float32), np.empty((1, 1, 1, 1), np.int32)
    regions.max_forward(x, np.array([[0, 1, 1, 2, 2]], np.float32), 1.0, 0.0, y, index)
    assert index.item() == 4


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_regions_that_are_no_numbers_read_and_write_nothing_else(value):
    x = np.ones((1, 4, 3, 3), np.float32)
    for column in range(1, 5):
        rows = np.array([[0, 0, 0, 2, 2]], np.float32)
        rows[0, column] = value
        y, index = np.empty((1, 4, 2, 2), np.float32), np.empty((1, 4, 2, 2), np.int32)
        dx = np.zeros_like(x)
        regions.max_forward(x, rows, 1.0, 0.0, y, index)
        regions.max_backward(y, rows, 1.0, 0.0, index, dx)
        assert np.isin(y, [0, 1]).all()
        y = np.empty((1, 1, 2, 2), np.float32)
        regions.by_place_forward(x, rows, 1.0, y)
        regions.by_place_backward(y, rows, 1.0, dx)
        assert np.isin(y, [0, 1]).all()


@BOTH
@pytest.mark.parametrize(("G", "scale"), [(2, 0.25), (3, 0.5), (1, 0.25)])
def test_the_mean_of_each_bin_of_its_own_channel(G, scale, py_func):
    C = 2
    x = R.normal(size=(2, C * G * G, 6, 8)).astype(np.float32)
    forward, backward = (
        k.py_func if py_func else k for k in (regions.by_place_forward, regions.by_place_backward)
    )
    y = np.empty((len(ROWS), C, G, G), np.float32)
    forward(x, ROWS, scale, y)
    dy, dx, right_dx = R.normal(size=y.shape).astype(np.float32), np.zeros_like(x), np.zeros(x.shape)
    backward(dy, ROWS, scale, dx)
    f = np.float32
    for r, c, i, j in np.ndindex(*y.shape):
        image, x1, y1, x2, y2 = ROWS[r]
        spans = []
        for first, last, k, limit in ((y1, y2, i, 6), (x1, x2, j, 8)):
            start, end = f(rounded(first)) * f(scale), (f(rounded(last)) + f(1)) * f(scale)
            size = max(end - start, f(0.1)) / f(G)
            low, high = math.floor(f(k) * size + start), math.ceil(f(k + 1) * size + start)
            spans.append(slice(min(max(low, 0), limit), min(max(high, 0), limit)))
        plane = (int(image), (c * G + i) * G + j, *spans)
        values = x[plane]
        assert y[r, c, i, j] == pytest.approx(
            values.mean(dtype=float) if values.size else 0, rel=1e-4, abs=1e-6
        )
        if values.size:
            right_dx[plane] += dy[r, c, i, j] / values.size
    np.testing.assert_allclose(dx, right_dx, rtol=1e-4, atol=1e-5)
