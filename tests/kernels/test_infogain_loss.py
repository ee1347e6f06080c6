import math

import numpy as np
import pytest

from pycaffe_lite.kernels import infogain_loss
from tests.kernels.threads import same_bits

BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def values(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


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


def test_probabilities_of_0_count_as_the_least():
    labels, identity = np.zeros((1, 1), np.int32), np.eye(2)
    for p in (0.0, 1e-30):
        loss = infogain_loss.forward(np.array([p, 1.0]).reshape(1, 2, 1), labels, identity)
        assert math.isclose(loss, -math.log(infogain_loss.LEAST))


def test_results_do_not_depend_on_threads():
    p, labels = abs(values(2, 5, 5000, dtype=np.float32)), np.ones((2, 5000), np.int32)
    assert same_bits(lambda: [np.array(infogain_loss.forward(p, labels, np.eye(5, dtype=np.float32)))])


def test_the_source_runs_as_python_too():
    p, labels, H = abs(values(2, 3, 4)), np.array([[0, 1, 2, -1]] * 2, np.int32), values(3, 3, seed=2)
    assert np.allclose(infogain_loss.forward(p, labels, H), infogain_loss.forward.py_func(p, labels, H))
    plain, compiled = np.empty_like(p), np.empty_like(p)
    infogain_loss.backward(p, labels, H, H.sum(1), 0.3, compiled)
    infogain_loss.backward.py_func(p, labels, H, H.sum(1), 0.3, plain)
    assert np.allclose(plain, compiled, rtol=1e-14)
