"""Sorting as GCC's std::sort does it.

The orders of equal keys below were recorded from a program of GCC 12, which sorts the indices 0 to n - 1 by
std::sort with the comparison scores[i] > scores[j]. Of long ones there is the CRC-32 of the indices, as
64-bit integers.
"""

import zlib

import numpy as np
import pytest

from pycaffe_lite.kernels.sorting import descending


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 33, 100, 1000, 5000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_different_keys(count, dtype):
    scores = np.random.default_rng(count).permutation(count).astype(dtype)
    np.testing.assert_array_equal(descending(scores), np.argsort(-scores, kind="stable"))


RECORDED = {
    (17, 1): "8 16 15 14 13 12 11 10 9 0 7 6 5 4 3 2 1",
    (20, 3): "2 3 18 7 8 13 10 19 15 14 0 9 5 4 11 12 6 16 17 1",
    (40, 1): (
        "30 21 22 23 24 25 26 27 28 29 20 31 32 33 34 35 36 37 38 39 10 1 2 3 4 5 6 7 8 9 0 11 12 13 14 "
        "15 16 17 18 19"
    ),
    (40, 2): (
        "20 39 37 36 33 30 29 27 26 23 0 19 17 16 13 2 3 10 9 6 7 1 38 35 34 4 32 31 5 28 14 8 25 24 22 "
        "21 11 18 12 15"
    ),
    (100, 3): (
        "64 83 23 78 74 28 73 69 68 33 79 63 38 59 58 54 43 53 49 48 89 8 94 93 84 7 13 88 98 3 18 2 99 "
        "96 65 55 95 0 60 91 90 70 86 75 85 50 80 81 14 25 24 29 20 19 30 15 34 35 39 45 10 9 4 40 5 44 "
        "17 1 22 21 82 97 16 87 6 27 12 11 92 36 46 51 52 42 41 56 57 37 61 62 77 66 67 32 31 71 72 47 "
        "26 76"
    ),
}


@pytest.mark.parametrize(("count", "values"), RECORDED)
def test_equal_keys(count, values):
    """Keys (7919 i + 13) mod 101 mod `values`."""
    scores = np.array([(7919 * i + 13) % 101 % values for i in range(count)], np.float32)
    recorded = [int(index) for index in RECORDED[count, values].split()]
    assert descending(scores).tolist() == recorded
    assert descending.py_func(scores).tolist() == recorded


def test_nan_neither_hangs_nor_loses_an_index():
    scores = np.random.default_rng(0).normal(size=500)
    scores[::7] = np.nan
    assert sorted(descending(scores)) == list(range(500))


@pytest.mark.parametrize("order", ["up", "down", "organ pipe"])
def test_keys_in_awkward_orders(order):
    n = 2000
    up = np.arange(n)
    scores = {"up": up, "down": up[::-1], "organ pipe": np.minimum(up, n - up)}
    values = scores[order].astype(np.float32)
    got = descending(values)
    assert sorted(got) == list(range(n))
    assert (np.diff(values[got]) <= 0).all()


@pytest.mark.parametrize(
    ("count", "divisor", "recorded"),
    [
        (200, 2, 1354298191),
        (200, 7, 1971015109),
        (2000, 1, 2542008845),
        (2000, 2, 1638159957),
        (2000, 7, 2712400293),
        (3001, 7, 436459168),
    ],
)
@pytest.mark.parametrize("py_func", [False, True])
def test_keys_with_which_quicksort_takes_the_worst_pivots(count, divisor, recorded, py_func):
    """Musser's sequence, with equal keys for larger divisors; std::sort turns to a heap sort."""
    half = count // 2
    keys = np.zeros(count, int)
    for i in range(half):
        keys[i] = i + 1 if i % 2 == 0 else half + i
        keys[half + i] = 2 * (i + 1)
    scores = -(keys // divisor).astype(np.float32)
    order = (descending.py_func if py_func else descending)(scores)
    assert (np.diff(scores[order]) <= 0).all()
    assert zlib.crc32(order.astype("<i8").tobytes()) == recorded
