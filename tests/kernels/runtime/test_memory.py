"""Arrays that start at a cache line."""

import numpy as np
import pytest

from pycaffe_lite.kernels.runtime.memory import ALIGNMENT, aligned_empty, aligned_zeros


@pytest.mark.parametrize("make", [aligned_zeros, aligned_empty])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_they_start_at_a_cache_line_and_have_the_size(make, dtype):
    arrays = [make(count, dtype) for count in (*range(1, 40), 1000)]
    assert all(array.ctypes.data % ALIGNMENT == 0 for array in arrays)
    assert [array.size for array in arrays] == [*range(1, 40), 1000]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    for array in arrays:
        array.fill(7)  # no two of them overlap
    assert all((array == 7).all() for array in arrays)


def test_zeros_are_zero_in_used_memory():
    for _ in range(20):
        aligned_empty(300, np.float32).fill(np.nan)  # is freed at once
        assert not aligned_zeros(300, np.float32).any()
