"""Softmax and its gradient: any shape, both types, any number of threads."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pycaffe_lite.kernels import softmax
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads

shapes = st.tuples(st.integers(1, 4), st.integers(1, 20), st.sampled_from([1, 2, 7, 255, 256, 257, 600]))
dtypes = st.sampled_from([np.float32, np.float64])
BOUND = {np.float32: 2e-6, np.float64: 1e-14}


def values(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def softmax_of(x):
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@settings(deadline=None, max_examples=40)
@given(shapes, dtypes)
def test_forward_and_backward(shape, dtype):
    x, dy = values(shape, dtype), values(shape, dtype, 1)
    y, dx = np.empty_like(x), np.empty_like(x)
    softmax.forward(x, y)
    right = softmax_of(x)
    assert abs(y - right).max() <= BOUND[dtype]
    softmax.backward(y, dy, dx)
    assert abs(dx - right * (dy - (right * dy).sum(1, keepdims=True))).max() <= 4 * BOUND[dtype]


def test_the_largest_scores_do_not_overflow():
    x = np.array([[1000.0, 1000.0], [-1000.0, 0.0]], np.float32)
    for shape in ((2, 2, 1), (1, 2, 2)):
        y = np.empty(shape, np.float32)
        softmax.forward((x if shape[2] == 1 else x.T.copy()).reshape(shape), y)
        got = y.reshape(2, 2) if shape[2] == 1 else y.reshape(2, 2).T
        np.testing.assert_allclose(got, [[0.5, 0.5], [0, 1]])


def test_results_do_not_depend_on_threads():
    results, before = [], get_num_threads()
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            for shape in ((50, 1000, 1), (2, 21, 5000)):
                x = values(shape, np.float32)
                y, dx = np.empty_like(x), np.empty_like(x)
                softmax.forward(x, y)
                softmax.backward(y, x, dx)
                results.append([y.tobytes(), dx.tobytes()])
    finally:
        set_num_threads(before)
    assert results[:2] == results[2:4] == results[4:]
