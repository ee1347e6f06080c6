"""Products of few rows and a large matrix."""

import numpy as np
import pytest

from pycaffe_lite.kernels.products.stream import FEW_ROWS, LARGE, stream_product, suits
from pycaffe_lite.kernels.simd.tiles import STREAM_ROWS
from tests.kernels.guarded import (
    at_the_end_of_memory,
    guarded,
    guarded_nans,
    margins_untouched,
    spoil_scratch,
)
from tests.kernels.threads import same_bits


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_it_is_for_few_rows_and_matrices_larger_than_the_cache():
    assert suits(FEW_ROWS, LARGE // 64, 64)
    assert not suits(FEW_ROWS + 1, LARGE // 64, 64)
    assert not suits(FEW_ROWS, LARGE // 64 - 1, 64)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(
    ("M", "N", "K"),
    [(1, 1, 1), (3, 33, STREAM_ROWS), (2, 31, STREAM_ROWS - 1), (5, 100, 3 * STREAM_ROWS + 2), (32, 9001, 9)],
)
def test_equals_the_product(M, N, K, accumulate):
    a, b, before = numbers(M, K), numbers(K, N, seed=1), numbers(M, N, seed=2)
    c = guarded(before) if accumulate else guarded_nans((M, N), np.float32)
    spoil_scratch(np.float32)
    stream_product(at_the_end_of_memory(a), at_the_end_of_memory(b), c, accumulate)
    assert np.allclose(c, a.astype(float) @ b + (before if accumulate else 0), atol=1e-5 * K)
    assert margins_untouched(c)


def test_same_bits_for_every_number_of_threads():
    a, b = numbers(9, 50), numbers(50, 20000, seed=1)

    def compute():
        c = np.empty((9, 20000), np.float32)
        stream_product(a, b, c, False)
        return [c]

    assert same_bits(compute)
