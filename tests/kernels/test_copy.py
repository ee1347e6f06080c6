import numpy as np
import pytest

from pycaffe_lite.kernels import copy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_copy_has_the_same_bits(dtype):
    x = np.array([1, -0.0, np.nan, np.inf, np.finfo(dtype).smallest_subnormal], dtype)
    y = np.empty_like(x)
    copy.forward(x, y)
    assert y.tobytes() == x.tobytes()
