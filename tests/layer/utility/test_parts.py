import numpy as np
import pytest

from pycaffe_lite.layer.utility.parts import Parts

WHOLE = np.arange(2 * 6 * 3, dtype=np.float32).reshape(2, 6, 3)
EDGES = 0, 1, 3, 6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_joining_and_splitting(axis, dtype):
    whole = np.moveaxis(WHOLE, 1, axis).astype(dtype).copy()
    pieces = [piece.copy() for piece in np.split(whole, EDGES[1:-1], axis)]
    parts = Parts(whole.shape, axis, EDGES)
    joined = np.full_like(whole, np.nan)
    parts.join(pieces, joined)
    np.testing.assert_array_equal(joined, whole)
    found = [np.full_like(piece, np.nan) for piece in pieces]
    parts.split(whole, found)
    for got, right in zip(found, pieces, strict=True):
        np.testing.assert_array_equal(got, right)


def test_parts_that_are_not_wanted():
    middle = np.empty((2, 2, 3), np.float32)
    parts = Parts(WHOLE.shape, 1, EDGES)
    parts.split(WHOLE, [None, middle, None])
    np.testing.assert_array_equal(middle, WHOLE[:, 1:3])
    parts.split(WHOLE, [None, None, None])


def test_parts_without_values():
    parts = Parts((2, 3), 1, (0, 0, 3))
    whole = np.zeros((2, 3), np.float32)
    parts.join([np.empty((2, 0), np.float32), np.ones((2, 3), np.float32)], whole)
    assert (whole == 1).all()
