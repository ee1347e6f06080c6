"""Products of rows with rows, with an epilogue, and how they are cut into tasks."""

import itertools

import numpy as np
import pytest

from pycaffe_lite.kernels.products import dot
from pycaffe_lite.kernels.products.dot import DEPTH, LONG, MOST_COLUMNS, ROWS, dot_product
from pycaffe_lite.kernels.simd.tiles import DOT_COLUMNS
from tests.kernels.guarded import at_the_end_of_memory, guarded, guarded_nans, margins_untouched
from tests.kernels.threads import same_bits

NONE = np.empty(0, np.float32)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# one number; tails of rows, columns and lanes; several pieces of the depth; several blocks
SIZES = [(1, 1, 1), (6, 5, 33), (7, 3, DEPTH + 9), (ROWS + 1, MOST_COLUMNS + 3, 70), (33, 129, 65)]


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(("M", "N", "K"), SIZES)
def test_equals_the_product(M, N, K, accumulate):
    a, b, before = numbers(M, K), numbers(N, K, seed=1), numbers(M, N, seed=2)
    c = guarded(before) if accumulate else guarded_nans((M, N), np.float32)
    dot_product(at_the_end_of_memory(a), at_the_end_of_memory(b), c, accumulate, NONE, NONE, 0.5)
    assert np.allclose(c, a.astype(float) @ b.T + (before if accumulate else 0), atol=1e-5 * K)
    assert margins_untouched(c)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("M", "N", "K"), SIZES)
def test_epilogue_has_a_scale_and_shift_for_each_column(M, N, K, scaled):
    a, b, shift = numbers(M, K), numbers(N, K, seed=1), numbers(N, seed=2)
    scale = numbers(N, seed=3) if scaled else NONE
    c = guarded_nans((M, N), np.float32)
    dot_product(a, b, c, False, scale, shift, 0.25)
    wanted = (a.astype(float) @ b.T) * (scale if scaled else 1) + shift
    assert np.allclose(c, np.where(wanted > 0, wanted, wanted / 4), atol=1e-5 * K)
    assert margins_untouched(c)


@pytest.mark.parametrize("accumulate", [False, True])
def test_long_sums_are_added_up_in_float64(accumulate):
    """2^24 + 1 - 2^24: in float32 the 1 would be lost."""
    a, b = np.zeros((2, 3 * LONG), np.float32), np.ones((5, 3 * LONG), np.float32)
    c = np.full((2, 5), 2, np.float32)
    a[:, :LONG], a[:, LONG], a[:, 2 * LONG :] = 2**24 / LONG, 1, -(2**24) / LONG
    dot_product(a, b, c, accumulate, NONE, NONE, 1.0)
    assert np.all(c == (3 if accumulate else 1))


def test_same_bits_for_every_number_of_threads():
    a, b, shift = numbers(70, 2000), numbers(75, 2000, seed=1), numbers(75)

    def compute():
        c = np.empty((70, 75), np.float32)
        dot_product(a, b, c, False, NONE, shift, 0.5)
        return [c]

    assert same_bits(compute)


def test_tasks_are_blocks_of_whole_columns_that_fit_the_caches():
    for M, N, K, threads in itertools.product((1, 40, 64, 500), (1, 7, 100, 4096), (64, 9216), (1, 2, 16)):
        rows, columns = dot._block(M, N, K, threads)
        assert 1 <= rows <= min(M, ROWS)
        assert columns % DOT_COLUMNS == 0
        assert columns <= MOST_COLUMNS
        tasks = -(-M // rows) * -(-N // columns)
        assert 2 * tasks >= min(threads, -(-N // DOT_COLUMNS)), "most threads have work"
