import numpy as np
import pytest

from pycaffe_lite.kernels import colors


@pytest.mark.parametrize("python", [False, True])
def test_bgr_of_rgbx(python):
    pixels = np.random.RandomState(0).randint(0, 256, (37, 4), np.uint8)
    out = np.empty((37, 3), np.uint8)
    function = colors.bgr_of_rgbx.py_func if python else colors.bgr_of_rgbx
    function(pixels.ravel(), out.ravel())
    np.testing.assert_array_equal(out, pixels[:, 2::-1])
