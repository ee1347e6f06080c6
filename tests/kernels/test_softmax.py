"""Softmax, its loss, accuracy and labels: any shape, both types, any number of threads."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pycaffe_lite.kernels import accuracy, labels, softmax, softmax_loss
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


@settings(deadline=None, max_examples=40)
@given(shapes, dtypes)
def test_loss(shape, dtype):
    p = softmax_of(values(shape, dtype)).astype(dtype)
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
        assert math.isclose(loss[0], right / Z, rel_tol=np.finfo(dtype).eps, abs_tol=1e-12)
        softmax_loss.backward(p, label, found, fixed, np.array([0.5], dtype), dx)
        assert abs(dx - gradient / (2 * Z)).max() <= BOUND[dtype]


@settings(deadline=None, max_examples=30)
@given(shapes, st.integers(1, 3))
def test_accuracy(shape, top_k):
    N, C, inner = shape
    x = np.random.default_rng(0).integers(3, size=shape).astype(np.float32)
    label = np.random.default_rng(1).integers(-1, C, (N, inner)).astype(np.int32)
    correct, counted = np.full(C, 9), np.full(C, 9)
    accuracy.count(x, label, top_k, correct, counted)
    right, seen = np.zeros(C, int), np.zeros(C, int)
    for n, i in np.ndindex(N, inner):
        if (at := label[n, i]) >= 0:
            seen[at] += 1
            right[at] += (x[n, :, i] >= x[n, at, i]).sum() - 1 < top_k
    assert correct.tolist() == right.tolist()
    assert counted.tolist() == seen.tolist()


def test_labels():
    def read(values, ignored):
        out, found = np.full(4, 9, np.int32), np.full(3, 9)
        labels.read(np.array(values, np.float32), 5, ignored, out, found)
        return out.tolist(), found.tolist()

    assert read([0, 4, 2, 255], 255) == ([0, 4, 2, -1], [3, -1, -1])
    assert read([0, 4, 2, 0], 0) == ([-1, 4, 2, -1], [2, -1, -1])
    assert read([0, 4, 2, 255], None)[1] == [4, 3, -1]
    assert read([0.9, -0.9, 4.5, 2], None) == ([0, 0, 4, 2], [4, -1, 0])
    assert read([1, 255.5, 254.9, 5.5], 255) == ([1, -1, -1, -1], [3, 2, 1])
    assert read([1, -1.5, 3, 3], -1) == ([1, -1, 3, 3], [3, -1, 1])
    for bad in (5, -1, 5.5, -1.5, np.nan, np.inf, -np.inf, 1e30):
        assert read([1, bad, 2, bad], 2)[1][1] == 1


def test_results_do_not_depend_on_threads():
    results, before = [], get_num_threads()
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            for shape in ((50, 1000, 1), (2, 21, 5000)):
                x = values(shape, np.float32)
                y, dx, loss_dx = (np.empty_like(x) for _ in range(3))
                label, weight = np.zeros((shape[0], shape[2]), np.int32), np.array([0.3], np.float32)
                found, loss = np.array([label.size, -1]), np.empty(1, np.float32)
                softmax.forward(x, y)
                softmax.backward(y, x, dx)
                softmax_loss.forward(y, label, found, 0.0, loss)
                softmax_loss.backward(y, label, found, 0.0, weight, loss_dx)
                results.append([array.tobytes() for array in (y, dx, loss, loss_dx)])
    finally:
        set_num_threads(before)
    assert results[:2] == results[2:4] == results[4:]
