import math

import numpy as np
import pytest

from pycaffe_lite.kernels import hinge_loss

BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def values(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


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


def test_at_the_margin_there_is_no_gradient():
    x, dx = np.array([[1.0, -1.0, 0.0]]), np.empty((1, 3))
    hinge_loss.backward(x, np.array([0], np.int32), False, 3.0, dx)
    assert dx.tolist() == [[0, 0, 3]]


@pytest.mark.parametrize("squared", [False, True])
def test_the_source_runs_as_python_too(squared):
    x, labels = values(4, 5), np.arange(4, dtype=np.int32)
    arguments = x, labels, squared
    assert np.allclose(hinge_loss.forward(*arguments), hinge_loss.forward.py_func(*arguments), rtol=1e-14)
    plain, compiled = np.empty_like(x), np.empty_like(x)
    hinge_loss.backward(*arguments, 0.3, compiled)
    hinge_loss.backward.py_func(*arguments, 0.3, plain)
    assert np.allclose(plain, compiled, rtol=1e-14)
