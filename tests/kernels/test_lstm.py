"""One step of LSTM units against NumPy; that its gradients are right, the layers' tests show."""

import numpy as np
import pytest

from pycaffe_lite.kernels import lstm


def values(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def step(N, D, dtype):
    return values(N, D, dtype=dtype), values(N, 4 * D, dtype=dtype, seed=1), values(N, dtype=dtype, seed=2)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("N", "D"), [(0, 3), (1, 1), (3, 7), (2, 100)])
def test_forward(N, D, dtype):
    c_prev, gates, cont = step(N, D, dtype)
    acts, c, h = np.empty_like(gates), np.empty_like(c_prev), np.empty_like(c_prev)
    lstm.forward(c_prev, gates, cont, acts, c, h)
    i, f, o, g = np.split(gates.astype(np.float64), 4, axis=1)
    i, f, o, g = sigmoid(i), cont[:, np.newaxis] * sigmoid(f), sigmoid(o), np.tanh(g)
    right = f * c_prev + i * g
    assert np.allclose(acts, np.concatenate([i, f, o, g], axis=1), atol=1e-6)
    assert np.allclose(c, right, atol=1e-6)
    assert np.allclose(h, o * np.tanh(right), atol=1e-6)


def test_the_source_runs_as_python_too():
    c_prev, gates, cont = step(3, 4, np.float64)
    dc, dh = values(3, 4, seed=3), values(3, 4, seed=4)
    results = []
    for forward, backward in ((lstm.forward, lstm.backward), (lstm.forward.py_func, lstm.backward.py_func)):
        acts, c, h, dc_prev, dgates = (np.empty_like(a) for a in (gates, c_prev, c_prev, c_prev, gates))
        forward(c_prev, gates, cont, acts, c, h)
        backward(c_prev, acts, c, dc, dh, dc_prev, dgates)
        results.append((acts, c, h, dc_prev, dgates))
    assert all(np.allclose(a, b, rtol=1e-13) for a, b in zip(*results, strict=True))
