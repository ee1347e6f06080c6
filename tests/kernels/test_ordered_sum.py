"""The mean of arrays, added in their order: bitwise a plain loop's."""

import numpy as np
import pytest

from pycaffe_lite.kernels import ordered_sum


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_in_their_order(dtype, count):
    chance = np.random.default_rng(count)
    # Sizes around the number of values that are added at a time.
    for size in (0, 1, 1023, 1024, 2500):
        sizes = 10.0 ** chance.integers(-6, 6, (count, size))
        arrays = (chance.standard_normal((count, size)) * sizes).astype(dtype)
        total = arrays[0].copy()
        for array in arrays[1:]:
            total += array
        total *= dtype(1) / dtype(count)
        for place in range(count):
            own = arrays[place].copy()
            ordered_sum.mean(np.delete(arrays, place, axis=0), place, own)
            np.testing.assert_array_equal(own, total)


def test_the_order_matters():
    """Else the test above would say nothing."""
    arrays = np.array([[1e8], [1], [-1e8]], np.float32)
    own = arrays[2].copy()
    ordered_sum.mean(arrays[:2].copy(), 2, own)
    assert own == 0
    own = arrays[0].copy()
    ordered_sum.mean(arrays[[2, 1]], 0, own)
    assert own == np.float32(1) / np.float32(3)
