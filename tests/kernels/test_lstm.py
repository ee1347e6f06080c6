"""One step of LSTM units and its gradient against NumPy."""

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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("N", "D"), [(1, 1), (3, 7), (2, 100)])
def test_backward(N, D, dtype):
    c_prev, gates, cont = step(N, D, dtype)
    dc, dh = values(N, D, dtype=dtype, seed=3), values(N, D, dtype=dtype, seed=4)
    acts, c, h = np.empty_like(gates), np.empty_like(c_prev), np.empty_like(c_prev)
    lstm.forward(c_prev, gates, cont, acts, c, h)
    dc_prev, dgates = np.empty_like(c_prev), np.empty_like(gates)
    lstm.backward(c_prev, acts, c, dc, dh, dc_prev, dgates)
    i, f, o, g = np.split(acts.astype(np.float64), 4, axis=1)
    t = dc + dh * o * (1 - np.tanh(c) ** 2)
    gradients = (
        t * g * i * (1 - i),
        t * c_prev * f * (1 - f),
        dh * np.tanh(c) * o * (1 - o),
        t * i * (1 - g**2),
    )
    assert np.allclose(dc_prev, t * f, atol=1e-6)
    assert np.allclose(dgates, np.concatenate(gradients, axis=1), atol=1e-5)


def test_gradients_are_those_of_small_steps():
    c_prev, gates, _ = step(2, 3, np.float64)
    cont, eps = np.ones(2), 1e-6
    weights = values(2, 3, seed=3), values(2, 3, seed=4)

    def loss(c_prev, gates):
        acts, c, h = np.empty_like(gates), np.empty_like(c_prev), np.empty_like(c_prev)
        lstm.forward(c_prev, gates, cont, acts, c, h)
        return acts, c, np.vdot(weights[0], c) + np.vdot(weights[1], h)

    acts, c, _ = loss(c_prev, gates)
    dc_prev, dgates = np.empty_like(c_prev), np.empty_like(gates)
    lstm.backward(c_prev, acts, c, *weights, dc_prev, dgates)
    for array, gradient in ((c_prev, dc_prev), (gates, dgates)):
        for at in np.ndindex(*array.shape):
            array[at] += eps
            above = loss(c_prev, gates)[-1]
            array[at] -= 2 * eps
            below = loss(c_prev, gates)[-1]
            array[at] += eps
            assert gradient[at] == pytest.approx((above - below) / (2 * eps), abs=1e-7)


def test_a_sequence_begins_without_what_was_before():
    """Even where that is not a number."""
    c_prev, gates, _ = step(2, 3, np.float64)
    gates[0, 3:6] = np.nan
    acts, c, h = np.empty_like(gates), np.empty_like(c_prev), np.empty_like(c_prev)
    lstm.forward(c_prev, gates, np.zeros(2), acts, c, h)
    assert not acts[:, 3:6].any()
    assert np.isfinite(c).all()
    assert np.isfinite(h).all()


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
