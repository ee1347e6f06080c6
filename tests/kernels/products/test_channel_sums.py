"""Sums over all but the channels."""

import numpy as np
import pytest

from pycaffe_lite.kernels.products.channel_sums import COLUMNS, PARTS, add_channel_sums
from tests.kernels.guarded import at_the_end_of_memory, guarded, guarded_nans, margins_untouched
from tests.kernels.threads import same_bits


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1), (5, COLUMNS + 3, 1), (PARTS - 1, 2, 7), (PARTS, 3, 5), (2 * PARTS + 1, 3, 1030), (0, 3, 1)],
)
def test_equals_the_sum(shape, accumulate):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    before = np.arange(1, shape[1] + 1, dtype=np.float32)
    sums = guarded(before) if accumulate else guarded_nans(shape[1], np.float32)
    add_channel_sums(at_the_end_of_memory(x), sums, accumulate)
    assert np.allclose(
        sums, x.astype(float).sum((0, 2)) + (before if accumulate else 0), rtol=1e-6, atol=1e-5
    )
    assert margins_untouched(sums)


@pytest.mark.parametrize("shape", [(100_000, 2, 1), (1, 2, 100_000), (3, 2, 30_000)])
def test_equal_terms_do_not_lose_digits(shape):
    x, sums = np.full(shape, 0.1, np.float32), np.zeros(2, np.float32)
    add_channel_sums(x, sums, False)
    exact = float(x[0, 0, 0]) * shape[0] * shape[2]
    assert np.all(abs(sums - exact) <= 5e-6 * exact)


@pytest.mark.parametrize("shape", [(90, 300, 1), (9, 20, 70)])
def test_same_bits_for_every_number_of_threads(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    def compute():
        sums = np.empty(shape[1], np.float32)
        add_channel_sums(x, sums, False)
        return [sums]

    assert same_bits(compute)
