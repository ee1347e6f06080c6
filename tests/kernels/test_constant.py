import numpy as np
import pytest

from pycaffe_lite.kernels import constant


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_value(dtype):
    y = np.full(5, np.nan, dtype)
    constant.forward(0.1, y)
    assert (y == dtype(0.1)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_is_0_whatever_comes(dtype):
    dx = np.full(4, np.nan, dtype)
    constant.backward(np.array([1, np.nan, np.inf, -np.inf], dtype), dx)
    assert (dx == 0).all()
