"""ReLU, Dropout's product and Split's sum: any length, both types, compiled and as Python."""

import numpy as np
import pytest

from pycaffe_lite.kernels import dropout, relu, split

LENGTHS = [0, 1, 15, 16, 17, 1000]
KINDS = ["compiled", "python"]


def run(kernel, kind):
    return kernel if kind == "compiled" else kernel.py_func


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", LENGTHS)
def test_relu(count, dtype, kind):
    x, dy = np.random.default_rng(0).normal(size=(2, count)).astype(dtype)
    y, dx = np.empty_like(x), np.empty_like(x)
    relu.forward(x, 0.25, y)
    assert np.array_equal(y, np.where(x > 0, x, dtype(0.25) * x))
    run(relu.backward, kind)(x, dy, 0.25, dx)
    assert np.array_equal(dx, np.where(x > 0, dy, dtype(0.25) * dy))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", LENGTHS)
def test_dropout(count, dtype, kind):
    x = np.random.default_rng(0).normal(size=count).astype(dtype)
    mask = np.random.default_rng(1).integers(2, size=count, dtype=np.uint8)
    y = np.empty_like(x)
    run(dropout.apply, kind)(x, mask, 2.0, y)
    assert np.array_equal(y, x * mask * dtype(2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", LENGTHS)
def test_split(count, kind):
    a, b = np.random.default_rng(0).normal(size=(2, count)).astype(np.float32)
    right = a + b
    run(split.add, kind)(a, b, a)
    assert np.array_equal(a, right)
