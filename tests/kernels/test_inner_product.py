"""Inner product and its gradients against their definition, with weights stored either way."""

import numpy as np
import pytest

from pycaffe_lite.kernels import inner_product
from pycaffe_lite.kernels.inner_product import Epilogue
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched

# rows, depth, columns: few rows fill part of a vector, one or two vectors; a deep sum comes in pieces
SHAPES = [
    (1, 1, 1), (5, 3, 7), (64, 130, 10), (13, 70, 33), (3, 2100, 5), (9, 40, 12), (16, 2100, 35),
    (17, 1200, 31), (32, 64, 100), (33, 99, 50),
]  # fmt: skip


def arrays(M, K, N, dtype):
    numbers = np.random.default_rng(M + K + N)
    return [numbers.standard_normal(shape).astype(dtype) for shape in ((M, K), (N, K), (N,), (M, N))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_its_definition(shape, transpose, dtype):
    x, w, b, dy = arrays(*shape, dtype)
    stored = np.ascontiguousarray(w.T) if transpose else w
    exact = {"rtol": 0, "atol": 64 * np.finfo(dtype).eps * np.sqrt(max(shape)) * 10}
    y, dx = guarded_nans(dy.shape, dtype), guarded_nans(x.shape, dtype)
    dw, db = guarded(stored), guarded(b)
    inner_product.forward(guarded(x), guarded(stored), b, y, transpose)
    assert np.allclose(y, x.astype(float) @ w.T + b, **exact)
    inner_product.backward_data(dy, stored, dx, transpose)
    assert np.allclose(dx, dy.astype(float) @ w, **exact)
    inner_product.backward_weights(x, dy, dw, transpose)
    gradient = dy.T.astype(float) @ x
    assert np.allclose(dw, stored + (gradient.T if transpose else gradient), **exact)
    inner_product.backward_bias(dy, db)
    assert np.allclose(db, b + dy.astype(float).sum(0), **exact)
    assert all(map(margins_untouched, (y, dx, dw, db)))
    before = dw.copy(), db.copy()
    inner_product.backward_weights(x, dy, dw, transpose, accumulate=False)
    inner_product.backward_bias(dy, db, accumulate=False)
    assert np.allclose(dw, before[0] - stored, **exact)
    assert np.allclose(db, before[1] - b, **exact)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("rows", [3, 9, 40])
def test_epilogue_scales_shifts_and_activates(transpose, rows):
    x, w, b, y = arrays(rows, 80, 21, np.float32)
    stored = np.ascontiguousarray(w.T) if transpose else w
    scale, shift = np.random.default_rng(0).standard_normal((2, 21)).astype(np.float32)
    inner_product.forward(x, stored, b, y, transpose, Epilogue(scale, shift, 0.5))
    expected = scale * (x.astype(float) @ w.T + b) + shift
    assert np.allclose(y, np.where(expected > 0, expected, expected / 2), rtol=1e-4, atol=1e-4)


def test_without_bias():
    x, w, _, y = arrays(4, 6, 5, np.float64)
    inner_product.forward(x, w, None, y)
    assert np.allclose(y, x @ w.T)
