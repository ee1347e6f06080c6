"""Sums with many terms, a piece of the terms at a time."""

import itertools

import numpy as np
import pytest

from pycaffe_lite.kernels.products.long import LONG, add_pieces, columns_of, is_long
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched

NONE = np.empty(0, np.float32)


@pytest.mark.parametrize(
    ("channels", "taps", "long"),
    [
        (LONG, 1, False),
        (LONG + 1, 1, True),
        (1, LONG + 1, False),
        (2, LONG // 2, False),
        (2, LONG // 2 + 1, True),
    ],
)
def test_sums_are_cut_between_channels(channels, taps, long):
    assert is_long(channels, taps) == long


@pytest.mark.parametrize(
    ("channels", "taps", "most"), [(10, 1, 3), (7, 5, 12), (3, 9, 4), (1, 50, 9), (8, 2, 16)]
)
def test_pieces_follow_each_other(channels, taps, most):
    pieces = []
    y = np.empty((1, 1), np.float32)

    def multiply(first, end, part):
        pieces.append((first, end))
        part[...] = end - first

    add_pieces(multiply, channels, taps, y, np.zeros(1, np.float32), NONE, 1.0, most=most)
    assert pieces[0][0] == 0
    assert pieces[-1][1] == channels
    assert all(end == first for (_, end), (first, _) in itertools.pairwise(pieces))
    assert all(end - first <= max(1, -(-most // taps)) for first, end in pieces)
    assert y == channels


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_pieces_are_added_scaled_shifted_and_activated(scaled, accumulate):
    numbers = np.random.default_rng(0)
    parts = numbers.standard_normal((3, 2, 4, 5)).astype(np.float32)
    start, before = numbers.standard_normal(4).astype(np.float32), numbers.standard_normal((2, 4, 5))
    scale = numbers.standard_normal(4).astype(np.float32) if scaled else NONE
    y = guarded(before.astype(np.float32)) if accumulate else guarded_nans((2, 4, 5), np.float32)

    def multiply(first, end, part):
        part[...] = parts[first:end].sum(0)

    add_pieces(multiply, 3, 1, y, start, scale, 0.5, accumulate, most=1)
    wanted = parts.astype(float).sum(0) * (scale[:, None] if scaled else 1)
    wanted += before if accumulate else start[:, None]
    assert np.allclose(y, np.where(wanted > 0, wanted, wanted / 2), atol=1e-6)
    assert margins_untouched(y)


def test_pieces_are_added_up_in_float64():
    y, terms = np.empty((1, 1), np.float32), np.float32([1e8, 1, -1e8])

    def multiply(first, _end, part):
        part[...] = terms[first]

    add_pieces(multiply, 3, 1, y, np.zeros(1, np.float32), NONE, 1.0, most=1)
    assert y == 1


@pytest.mark.parametrize("rows", [1, 4])
def test_columns_are_contiguous(rows):
    a = np.arange(rows * 10, dtype=np.float32).reshape(rows, 2, 5)
    columns = columns_of(a, rows, 3, 9, "columns")
    assert columns.flags.c_contiguous
    assert np.array_equal(columns.reshape(rows, 6), a.reshape(rows, 10)[:, 3:9])
