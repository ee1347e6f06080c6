import numpy as np
import pytest

from pycaffe_lite.kernels import split


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums(dtype):
    a, b = np.random.default_rng(0).normal(size=(2, 50)).astype(dtype)
    right, y = a + b, np.empty_like(a)
    split.add(a, b, y)
    np.testing.assert_array_equal(y, right)
    split.add(a, b, a)  # into the first, as gradients of several readers add up
    np.testing.assert_array_equal(a, right)
