"""The engine against NumPy's Mersenne Twister, and what each distribution makes of its raw draws."""

import numpy as np
import pytest

from pycaffe_lite.kernels import random_draws
from pycaffe_lite.kernels.random_draws import WORDS


def state_and_draws(count, seed=5):
    """A state of the engine, all of its words used, and the next draws by NumPy."""
    engine = np.random.MT19937()
    engine._legacy_seeding(seed)
    words = engine.state["state"]
    return np.array([*words["key"], words["pos"]], np.uint32), engine.random_raw(count)


def test_raw_draws_go_on_where_the_last_ended():
    state, wanted = state_and_draws(3 * WORDS)
    got = np.empty(3 * WORDS, np.uint32)
    for start, stop in ((0, 5), (5, WORDS), (WORDS, 2 * WORDS + 7), (2 * WORDS + 7, 3 * WORDS)):
        random_draws.raw(state, got[start:stop])
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("largest", [0, 2**31, 2**32 - 1])
def test_bernoulli(largest):
    state, draws = state_and_draws(2 * WORDS)
    got = np.empty(2 * WORDS, np.uint8)
    random_draws.bernoulli(state, largest, got[:10])
    random_draws.bernoulli(state, largest, got[10:])
    np.testing.assert_array_equal(got, draws <= largest)


def test_bernoulli_counts_the_bound_itself():
    state, draws = state_and_draws(1)
    for largest, wanted in ((int(draws[0]), 1), (int(draws[0]) - 1, 0)):
        got = np.empty(1, np.uint8)
        random_draws.bernoulli(state.copy(), largest, got)
        assert got[0] == wanted


def test_uniform():
    state, draws = state_and_draws(1000)
    low, high, got = np.float32(-2), np.float32(3), np.empty(1000, np.float32)
    random_draws.uniform(state, low, high, got)
    wanted = draws.astype(np.float32) / np.float32(2**32) * (high - low) + low
    np.testing.assert_array_equal(got[: (wanted < high).sum()], wanted[wanted < high])


def test_uniform_draws_again_what_is_rounded_to_the_upper_bound():
    state, draws = state_and_draws(2000)
    low, got = np.float32(2**24), np.empty(500, np.float32)
    random_draws.uniform(state, low, low + np.float32(4), got)  # there, only even numbers are float32
    values = draws.astype(np.float32) / np.float32(2**32) * np.float32(4) + low
    np.testing.assert_array_equal(got, values[values < low + 4][:500])
    assert set(got) == {low, low + 2}


def test_permute_swaps_from_the_last_place_down():
    state, draws = state_and_draws(40)
    order, wanted, used = np.arange(20), list(range(20)), 0
    random_draws.permute(state, order)
    for i in range(19, 0, -1):
        bucket = 2**32 // (i + 1)
        while (j := int(draws[used]) // bucket) > i:
            used += 1
        used += 1
        wanted[i], wanted[j] = wanted[j], wanted[i]
    assert order.tolist() == wanted
