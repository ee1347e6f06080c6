"""Bilinear interpolation with the corners on the corners: places, and kernels against loops."""

import numpy as np
import pytest

from pycaffe_lite.kernels import interp

R = np.random.default_rng(0)


@pytest.mark.parametrize(("size", "to"), [(1, 1), (1, 5), (5, 1), (5, 5), (4, 9), (9, 4), (33, 513)])
def test_places(size, to):
    before, part = interp.places(size, to)
    assert (before[0], part[0]) == (0, 0)
    assert ((before >= 0) & (before < size)).all()
    assert ((part >= 0) & (part < 1)).all()
    assert not part[before == size - 1].any()
    exact = np.arange(to) * (size - 1) / max(to - 1, 1)
    np.testing.assert_allclose(before + part.astype(float), exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("py_func", [False, True])
def test_kernels(dtype, py_func):
    x, dy = R.normal(size=(2, 4, 3)).astype(dtype), R.normal(size=(2, 6, 7)).astype(dtype)
    rows, cols = interp.places(4, 6), interp.places(3, 7)
    y, dx = np.empty_like(dy), np.zeros_like(x)
    forward, backward = (k.py_func if py_func else k for k in (interp.forward, interp.backward))
    forward(x, *rows, *cols, y)
    backward(dy, *rows, *cols, dx)
    weights = np.zeros((6, 7, 4, 3))
    for p, q in np.ndindex(6, 7):
        for i, a in ((rows[0][p], 1 - rows[1][p]), (min(rows[0][p] + 1, 3), rows[1][p])):
            for j, b in ((cols[0][q], 1 - cols[1][q]), (min(cols[0][q] + 1, 2), cols[1][q])):
                weights[p, q, i, j] += float(a) * float(b)
    np.testing.assert_allclose(y, np.einsum("pqij,nij->npq", weights, x), rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(dx, np.einsum("pqij,npq->nij", weights, dy), rtol=2e-5, atol=1e-6)
