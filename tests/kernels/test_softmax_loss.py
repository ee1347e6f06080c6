"""The multinomial logistic loss against plain loops: any shape, both types, any number of threads."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pycaffe_lite.kernels import softmax_loss
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads

shapes = st.tuples(st.integers(1, 4), st.integers(1, 20), st.sampled_from([1, 2, 7, 255, 600, 4097]))
dtypes = st.sampled_from([np.float32, np.float64])
BOUND = {np.float32: 2e-6, np.float64: 1e-14}


def probabilities(shape, dtype):
    e = np.exp(np.random.default_rng(0).normal(size=shape))
    return (e / e.sum(1, keepdims=True)).astype(dtype)


@settings(deadline=None, max_examples=30)
@given(shapes, dtypes)
def test_loss(shape, dtype):
    p = probabilities(shape, dtype)
    N, C, inner = shape
    label = np.random.default_rng(2).integers(-1, C, (N, inner)).astype(np.int32)
    right, gradient = 0.0, np.zeros(shape)
    for n, i in np.ndindex(N, inner):
        if label[n, i] >= 0:
            right -= math.log(p[n, label[n, i], i])
            gradient[n, :, i] = p[n, :, i]
            gradient[n, label[n, i], i] -= 1
    found, loss, dx = np.array([(label >= 0).sum(), -1]), np.empty(1, dtype), np.full_like(p, np.nan)
    for fixed, Z in ((7.0, 7.0), (0.0, max(1, found[0]))):
        softmax_loss.forward(p, label, found, fixed, loss)
        assert math.isclose(loss[0], right / Z, rel_tol=max(np.finfo(dtype).eps, 1e-13), abs_tol=1e-12)
        softmax_loss.backward(p, label, found, fixed, np.array([0.5], dtype), dx)
        assert abs(dx - gradient / (2 * Z)).max() <= BOUND[dtype]


def test_a_probability_of_zero_has_a_finite_loss():
    for dtype in BOUND:
        p, loss = np.array([[[0.0], [1.0]]], dtype), np.empty(1, dtype)
        softmax_loss.forward(p, np.zeros((1, 1), np.int32), np.array([1, -1]), 0.0, loss)
        assert loss[0] == dtype(-math.log(np.finfo(np.float32).tiny))


def test_results_do_not_depend_on_threads():
    results, before = [], get_num_threads()
    p, label = probabilities((2, 21, 5000), np.float32), np.zeros((2, 5000), np.int32)
    found, weight = np.array([label.size, -1]), np.array([0.3], np.float32)
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            loss, dx = np.empty(1, np.float32), np.empty_like(p)
            softmax_loss.forward(p, label, found, 0.0, loss)
            softmax_loss.backward(p, label, found, 0.0, weight, dx)
            results.append([loss.tobytes(), dx.tobytes()])
    finally:
        set_num_threads(before)
    assert results[0] == results[1] == results[2]
