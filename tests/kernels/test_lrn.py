"""Local response normalisation: any shape and window, both types, any number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycaffe_lite.kernels import lrn
from tests.kernels.threads import same_bits

dtypes = st.sampled_from([np.float32, np.float64])
halves, betas = st.integers(0, 6), st.sampled_from([0.75, 0.5, 0.6])
BOUND = {np.float32: 5e-6, np.float64: 1e-13}
SCALE, K = 0.3, 2.0


def values(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def sums_across(x, half):
    C = x.shape[1]
    return np.stack([x[:, max(0, c - half) : c + half + 1].sum(1) for c in range(C)], 1)


def sums_within(x, half):
    total = np.empty_like(x)
    for h, w in np.ndindex(x.shape[1:]):
        box = x[:, max(0, h - half) : h + half + 1, max(0, w - half) : w + half + 1]
        total[:, h, w] = box.sum((1, 2))
    return total


def reference(x, dy, sums, half, beta, k):
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    S = k + SCALE * sums(x * x, half)
    direct = dy * S**-beta
    return x * S**-beta, direct - 2 * SCALE * beta * x * sums(direct * x / S, half)


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.integers(0, 3), st.integers(1, 9), st.sampled_from([1, 7, 255, 256, 257, 600])),
    dtypes,
    halves,
    betas,
)
def test_across(shape, dtype, half, beta):
    x, dy = values(shape, dtype), values(shape, dtype, 1)
    right_y, right_dx = reference(x, dy, sums_across, half, beta, K)
    y, dx = np.empty_like(x), np.empty_like(x)
    lrn.forward_across(x, half, SCALE, beta, K, y)
    lrn.backward_across(x, dy, half, SCALE, beta, K, dx)
    assert np.allclose(y, right_y, rtol=0, atol=BOUND[dtype])
    assert np.allclose(dx, right_dx, rtol=0, atol=BOUND[dtype])
    lrn.backward_across(x, dy, half, SCALE, beta, K, dy)
    assert np.array_equal(dy, dx)


@settings(deadline=None, max_examples=40)
@given(st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9)), dtypes, halves, betas)
def test_within(shape, dtype, half, beta):
    x, dy = values(shape, dtype), values(shape, dtype, 1)
    right_y, right_dx = reference(x, dy, sums_within, half, beta, 1)
    planes, W = (shape[0], shape[1] * shape[2]), shape[2]
    x, dy = x.reshape(planes), dy.reshape(planes)
    y, dx = np.empty_like(x), np.empty_like(x)
    lrn.forward_within(x, W, half, SCALE, beta, y)
    lrn.backward_within(x, dy, W, half, SCALE, beta, dx)
    assert np.allclose(y.reshape(shape), right_y, rtol=0, atol=BOUND[dtype])
    assert np.allclose(dx.reshape(shape), right_dx, rtol=0, atol=BOUND[dtype])
    lrn.backward_within(x, dy, W, half, SCALE, beta, dy)
    assert np.array_equal(dy, dx)


def test_small_values_keep_their_digits_after_large_ones():
    """The running sum of squares would lose them in float32."""
    x = np.full((1, 12, 3), 1.5, np.float32)
    x[:, 2] = 1e5
    y = np.empty_like(x)
    lrn.forward_across(x, 1, SCALE, 0.75, K, y)
    assert np.allclose(y[:, 6:11], 1.5 * (K + SCALE * 3 * 2.25) ** -0.75, rtol=1e-6)
    planes, out = x.reshape(1, 36), np.empty((1, 36), np.float32)
    lrn.forward_within(planes, 3, 1, SCALE, 0.75, out)
    assert np.allclose(out.reshape(12, 3)[6:11, 1], 1.5 * (1 + SCALE * 9 * 2.25) ** -0.75, rtol=1e-6)


def test_results_do_not_depend_on_threads():
    x = values((3, 8, 600), np.float32)

    def compute():
        y, dx, within = np.empty_like(x), np.empty_like(x), np.empty((24, 600), np.float32)
        lrn.forward_across(x, 2, SCALE, 0.75, K, y)
        lrn.backward_across(x, y, 2, SCALE, 0.75, K, dx)
        lrn.forward_within(x.reshape(24, 600), 20, 2, SCALE, 0.75, within)
        return y, dx, within

    assert same_bits(compute)


@pytest.mark.parametrize("beta", [0.75, 0.6])
def test_the_source_runs_as_python_too(beta):
    x, dy = values((2, 12), np.float64), values((2, 12), np.float64, 1)
    for kernel, arguments in (
        (lrn.forward_within, (x, 4, 1, SCALE, beta)),
        (lrn.backward_within, (x, dy, 4, 1, SCALE, beta)),
    ):
        plain, compiled = np.empty_like(arguments[0]), np.empty_like(arguments[0])
        kernel(*arguments, compiled)
        kernel.py_func(*arguments, plain)
        assert np.allclose(plain, compiled, rtol=1e-14)
