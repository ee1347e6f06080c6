import numpy as np
import pytest

from pycaffe_lite.kernels import dropout


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_where_the_mask_is_1_are_scaled_and_others_0(dtype):
    x, mask = np.array([1, -2, 3, -0.5], dtype), np.array([1, 0, 0, 1], np.uint8)
    y = np.full(4, np.nan, dtype)
    dropout.apply(x, mask, 2.5, y)
    assert y.tolist() == [2.5, 0, 0, -1.25]
    dropout.apply(x, mask, 1 / 3, x)  # in place, the scale in the arrays' type
    np.testing.assert_array_equal(x, np.array([1, 0, 0, -0.5], dtype) * dtype(1 / 3))
