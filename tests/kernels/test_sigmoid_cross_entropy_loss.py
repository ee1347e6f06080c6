import math

import numpy as np
import pytest

from pycaffe_lite.kernels import sigmoid_cross_entropy_loss
from tests.kernels.threads import same_bits

BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def values(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


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
def test_large_scores_do_not_overflow(dtype):
    x, t = np.array([1e4, -1e4, 1e4, -1e4], dtype), np.array([1, 0, 0, 1], dtype)
    assert sigmoid_cross_entropy_loss.forward(x, t, False, 0) == (2e4, 4)
    dx = np.empty_like(x)
    sigmoid_cross_entropy_loss.backward(x, t, False, 0, 1.0, dx)
    assert dx.tolist() == [0, 0, 1, -1]


def test_the_fraction_of_a_target_is_dropped_before_it_is_compared():
    x, t = np.zeros(4), np.array([-1.0, -1.9, -0.9, -2.0])
    total, counted = sigmoid_cross_entropy_loss.forward(x, t, True, -1)
    assert counted == 2
    assert math.isclose(total, 2 * math.log(2))


def test_results_do_not_depend_on_threads():
    x, t = values(50_000, dtype=np.float32), values(50_000, dtype=np.float32, seed=1)
    assert same_bits(lambda: [np.array(sigmoid_cross_entropy_loss.forward(x, t, False, 0)[0])])


def test_the_source_runs_as_python_too():
    arguments = values(20), values(20, seed=1), True, 0
    forward, backward = sigmoid_cross_entropy_loss.forward, sigmoid_cross_entropy_loss.backward
    assert np.allclose(forward(*arguments), forward.py_func(*arguments), rtol=1e-14)
    plain, compiled = np.empty(20), np.empty(20)
    backward(*arguments, 0.3, compiled)
    backward.py_func(*arguments, 0.3, plain)
    assert np.allclose(plain, compiled, rtol=1e-14)
