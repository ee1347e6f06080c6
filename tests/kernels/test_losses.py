"""The losses' kernels over more than one block: sums, and any number of threads."""

import math

import numpy as np
import pytest

from pycaffe_lite.kernels import euclidean_loss, hinge_loss, infogain_loss, sigmoid_cross_entropy_loss
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads

BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def values(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@BOTH
@pytest.mark.parametrize("count", [0, 1, 16384, 16385, 50_000])
def test_squared_distance(count, dtype):
    a, b = values(count, dtype=dtype), values(count, dtype=dtype, seed=1)
    right = np.square(a.astype(np.float64) - b).sum()
    assert math.isclose(euclidean_loss.forward(a, b), right, rel_tol=1e-6)
    da = np.empty_like(a)
    euclidean_loss.backward(a, b, 0.5, da)
    assert np.allclose(da, (a - b) / 2)


@BOTH
@pytest.mark.parametrize("count", [0, 1, 4096, 4097, 20_000])
@pytest.mark.parametrize("ignore", [False, True])
def test_sigmoid_cross_entropy(count, dtype, ignore):
    x, t = values(count, dtype=dtype), values(count, dtype=dtype, seed=1)
    counts = ~(ignore & (np.trunc(t) == 0))
    wide, p = x.astype(np.float64), 1 / (1 + np.exp(-x.astype(np.float64)))
    right = (np.maximum(wide, 0) - wide * t + np.log1p(np.exp(-abs(wide))))[counts].sum()
    total, counted = sigmoid_cross_entropy_loss.forward(x, t, ignore, 0)
    assert math.isclose(total, right, rel_tol=1e-5, abs_tol=1e-5)
    assert counted == counts.sum()
    dx = np.full_like(x, np.nan)
    sigmoid_cross_entropy_loss.backward(x, t, ignore, 0, 2.0, dx)
    assert np.allclose(dx, np.where(counts, 2 * (p - t), 0), atol=1e-6)


@BOTH
@pytest.mark.parametrize("inner", [1, 5, 1024, 1025, 3000])
def test_infogain(inner, dtype):
    N, C = 2, 4
    p, H = abs(values(N, C, inner, dtype=dtype)) + dtype(0.1), values(C, C, dtype=dtype, seed=1)
    labels = np.random.default_rng(2).integers(-1, C, (N, inner)).astype(np.int32)
    rows = H.astype(np.float64)[labels]  # (N, inner, C); of a label -1, not to be used
    counts = labels >= 0
    right = -(rows * np.log(p.astype(np.float64)).transpose(0, 2, 1))[counts].sum()
    assert math.isclose(infogain_loss.forward(p, labels, H), right, rel_tol=1e-5, abs_tol=1e-5)
    dx = np.full_like(p, np.nan)
    infogain_loss.backward(p, labels, H, H.sum(1), 0.5, dx)
    slope = p * H.sum(1)[labels][:, np.newaxis] - rows.transpose(0, 2, 1)
    assert np.allclose(dx, np.where(counts[:, np.newaxis], slope / 2, 0), atol=1e-5)


@BOTH
@pytest.mark.parametrize("squared", [False, True])
def test_hinge(squared, dtype):
    x, labels = values(20, 5, dtype=dtype), np.arange(20, dtype=np.int32) % 5
    sign = np.where(np.arange(5) == labels[:, np.newaxis], -1.0, 1.0)
    h = np.maximum(0, 1 + sign * x)
    total = (h**2 if squared else h).sum()
    assert math.isclose(hinge_loss.forward(x, labels, squared), total, rel_tol=1e-6)
    dx = np.empty_like(x)
    hinge_loss.backward(x, labels, squared, 0.5, dx)
    assert np.allclose(dx, 0.5 * sign * (2 * h if squared else h > 0), rtol=1e-6)


def test_results_do_not_depend_on_threads():
    results, before = [], get_num_threads()
    x, t = values(50_000, dtype=np.float32), values(50_000, dtype=np.float32, seed=1)
    p, labels = abs(values(2, 5, 5000, dtype=np.float32)), np.ones((2, 5000), np.int32)
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            results.append(
                (
                    euclidean_loss.forward(x, t),
                    sigmoid_cross_entropy_loss.forward(x, t, False, 0),
                    infogain_loss.forward(p, labels, np.eye(5, dtype=np.float32)),
                )
            )
    finally:
        set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_the_source_runs_as_python_too():
    x, t = values(20), values(20, seed=1)
    p, labels, H = abs(values(2, 3, 4)), np.array([[0, 1, 2, -1]] * 2, np.int32), values(3, 3, seed=2)
    scores, classes = values(4, 5), np.arange(4, dtype=np.int32)
    for kernel, arguments in (
        (euclidean_loss.forward, (x, t)),
        (sigmoid_cross_entropy_loss.forward, (x, t, True, 0)),
        (infogain_loss.forward, (p, labels, H)),
        (hinge_loss.forward, (scores, classes, True)),
    ):
        assert np.allclose(kernel(*arguments), kernel.py_func(*arguments), rtol=1e-14)
    for kernel, arguments in (
        (euclidean_loss.backward, (x, t, 0.3)),
        (sigmoid_cross_entropy_loss.backward, (x, t, True, 0, 0.3)),
        (infogain_loss.backward, (p, labels, H, H.sum(1), 0.3)),
        (hinge_loss.backward, (scores, classes, False, 0.3)),
    ):
        plain, compiled = np.empty_like(arguments[0]), np.empty_like(arguments[0])
        kernel(*arguments, compiled)
        kernel.py_func(*arguments, plain)
        assert np.allclose(plain, compiled, rtol=1e-14)
