"""CTC against a sum over every way to say the labels."""

import itertools

import numpy as np
import pytest

from pycaffe_lite.kernels import ctc

R = np.random.default_rng(0)


def merged(path, blank):
    """What a path says: repeats once, blanks not at all."""
    return [symbol for i, symbol in enumerate(path) if symbol != blank and (i == 0 or path[i - 1] != symbol)]


def by_all_paths(p, labels, blank):
    """-ln p(labels), and the expected number of each symbol at each step given them."""
    T, C = p.shape
    total, expected = 0.0, np.zeros((T, C))
    for path in itertools.product(range(C), repeat=T):
        if merged(path, blank) == list(labels):
            likelihood = np.prod([p[t, symbol] for t, symbol in enumerate(path)])
            total += likelihood
            expected[range(T), path] += likelihood
    if not total:
        return 0.0, expected
    return -np.log(total), expected / total


def run(p, labels, blank, py_func=False):
    """The kernel's loss and expectation for sequences of several lengths of labels."""
    N = len(labels)
    longest = max(1, *(len(row) for row in labels))
    padded = np.array([[*row, *[blank] * (longest - len(row))] for row in labels])
    losses, expected = np.full(N, np.nan), np.full(p.shape, np.nan)
    function = ctc.loss.py_func if py_func else ctc.loss
    function(np.log(p), padded, np.array([len(row) for row in labels]), blank, losses, expected)
    return losses, expected


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("T", [1, 2, 5])
@pytest.mark.parametrize("py_func", [False, True])
def test_against_all_paths(blank, T, py_func):
    others = [c for c in range(3) if c != blank]
    a, b = others
    labels = [[], [a], [a, a], [a, b], [b, a, b], [a, b, b], [a, a, a]]
    p = R.dirichlet(np.ones(3), size=(T, len(labels)))
    losses, expected = run(p, labels, blank, py_func)
    for n, row in enumerate(labels):
        loss, counts = by_all_paths(p[:, n], row, blank)
        np.testing.assert_allclose(losses[n], loss, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(expected[:, n], counts, rtol=1e-12, atol=1e-14)


def test_impossible_symbols():
    p = np.array([[[0.5, 0.5, 0]], [[0.5, 0.5, 0]]])
    with np.errstate(divide="ignore"):
        losses, expected = run(p, [[2]], 0)
    assert (losses[0], expected.any()) == (0, False)


def test_long_rows_do_not_underflow():
    p = np.full((2000, 1, 4), 0.25)
    losses, expected = run(p, [[1, 2, 3] * 20], 0)
    assert 0 < losses[0] < 2000 * np.log(4)
    np.testing.assert_allclose(expected.sum(axis=2), 1, rtol=1e-9)
