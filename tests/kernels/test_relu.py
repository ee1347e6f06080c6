"""ReLU, Dropout's product, Split's sum and Eltwise's: any length, both types."""

import numpy as np
import pytest

from pycaffe_lite.kernels import dropout, eltwise, relu, split

LENGTHS = [0, 1, 15, 16, 17, 1000, 40000]  # the last one is several tasks


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", LENGTHS)
def test_relu(count, dtype):
    x, dy = np.random.default_rng(0).normal(size=(2, count)).astype(dtype)
    y, dx = np.empty_like(x), np.empty_like(x)
    relu.forward(x, 0.25, y)
    assert np.array_equal(y, np.where(x > 0, x, dtype(0.25) * x))
    relu.backward(x, dy, 0.25, dx)
    assert np.array_equal(dx, np.where(x > 0, dy, dtype(0.25) * dy))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", LENGTHS)
def test_dropout(count, dtype):
    x = np.random.default_rng(0).normal(size=count).astype(dtype)
    mask = np.random.default_rng(1).integers(2, size=count, dtype=np.uint8)
    y = np.empty_like(x)
    dropout.apply(x, mask, 2.0, y)
    assert np.array_equal(y, x * mask * dtype(2))


@pytest.mark.parametrize("count", LENGTHS)
def test_split(count):
    a, b = np.random.default_rng(0).normal(size=(2, count)).astype(np.float32)
    right = a + b
    split.add(a, b, a)
    assert np.array_equal(a, right)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", LENGTHS)
def test_scaled_sum(count, dtype):
    a, b = np.random.default_rng(0).normal(size=(2, count)).astype(dtype)
    total, y = dtype(0.5) * a - dtype(2) * b, np.empty_like(a)
    eltwise.scaled_sum(a, 0.5, b, -2.0, y, 0.25)
    assert np.allclose(y, np.where(total > 0, total, dtype(0.25) * total), rtol=1e-6, atol=1e-6)
    eltwise.scale(a, 0.5, a)
    eltwise.scaled_sum(a, 2.0, b, 0.0, b, 1.0)
    assert np.array_equal(2 * a, b)
