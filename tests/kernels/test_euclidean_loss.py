import math

import numpy as np
import pytest

from pycaffe_lite.kernels import euclidean_loss
from tests.kernels.threads import same_bits

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


def test_results_do_not_depend_on_threads():
    a, b = values(50_000, dtype=np.float32), values(50_000, dtype=np.float32, seed=1)
    assert same_bits(lambda: [np.array(euclidean_loss.forward(a, b))])


def test_the_source_runs_as_python_too():
    a, b = values(20), values(20, seed=1)
    assert np.allclose(euclidean_loss.forward(a, b), euclidean_loss.forward.py_func(a, b), rtol=1e-14)
    plain = np.empty(20)
    euclidean_loss.backward.py_func(a, b, 0.3, plain)
    assert np.allclose(plain, 0.3 * (a - b), rtol=1e-14)
