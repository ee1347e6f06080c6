"""Affine maps, sums and moments per channel: any shape, both types, any number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycaffe_lite.kernels import channels
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads

shapes = st.tuples(
    st.integers(0, 4), st.sampled_from([1, 3, 63, 64, 65, 130]), st.sampled_from([0, 1, 2, 49, 20000])
).filter(lambda shape: np.prod(shape) < 1_000_000)
dtypes = st.sampled_from([np.float32, np.float64])
BOUND = {np.float32: 1e-6, np.float64: 1e-13}


def values(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(1, 2, size=shape).astype(dtype)


def per_channel(numbers):
    return numbers.astype(np.float64)[:, np.newaxis]


@settings(deadline=None, max_examples=60)
@given(shapes, dtypes, st.booleans())
def test_affine_and_blend(shape, dtype, in_place):
    a, b = values(shape, dtype), values(shape, dtype, 1)
    p, q, r = (values(shape[1], dtype, seed) for seed in (2, 3, 4))
    right = (a.astype(np.float64) - per_channel(p)) * per_channel(q) + per_channel(r)
    y = a.copy() if in_place else np.empty_like(a)
    channels.affine(y if in_place else a, p, q, r, y)
    assert np.allclose(y, right, rtol=BOUND[dtype], atol=20 * BOUND[dtype])
    right = per_channel(p) * a + per_channel(q) * (b - per_channel(r)) + per_channel(p)
    y = a.copy() if in_place else np.empty_like(a)
    channels.blend(y if in_place else a, p, b, r, q, p, y)
    assert np.allclose(y, right, rtol=BOUND[dtype], atol=20 * BOUND[dtype])


@pytest.mark.parametrize("shape", [(2, 3, 37), (2, 37, 1)])
def test_in_place_gives_the_same_bits(shape):
    a, b = values(shape, np.float32), values(shape, np.float32, 1)
    p, q, r = (values(shape[1], np.float32, seed) for seed in (2, 3, 4))
    y = np.empty_like(a)
    channels.affine(a, p, q, r, y)
    over = a.copy()
    channels.affine(over, p, q, r, over)
    np.testing.assert_array_equal(over, y)
    channels.blend(a, p, b, r, q, p, y)
    over_a, over_b = a.copy(), b.copy()
    channels.blend(over_a, p, b, r, q, p, over_a)
    channels.blend(a, p, over_b, r, q, p, over_b)
    np.testing.assert_array_equal(over_a, y)
    np.testing.assert_array_equal(over_b, y)


@settings(deadline=None, max_examples=60)
@given(shapes, dtypes)
def test_sums(shape, dtype):
    a, b = values(shape, dtype), values(shape, dtype, 1)
    sum_a, sum_ab = np.full(shape[1], np.nan), np.full(shape[1], np.nan)
    channels.sums(a, b, sum_a, sum_ab)
    assert np.allclose(sum_a, a.sum((0, 2), dtype=np.float64), rtol=1e-12)
    assert np.allclose(sum_ab, (a.astype(np.float64) * b).sum((0, 2)), rtol=1e-12)
    again = np.full(shape[1], np.nan)
    channels.sums(a, b[:0], again, sum_ab)
    assert np.array_equal(again, sum_a)
    assert not sum_ab.any()


@settings(deadline=None, max_examples=60)
@given(shapes.filter(lambda shape: 0 not in shape), dtypes, st.sampled_from([0, 1000]))
def test_moments(shape, dtype, offset):
    x = values(shape, dtype) + dtype(offset)
    mean, variance = np.full(shape[1], np.nan), np.full(shape[1], np.nan)
    channels.moments(x, mean, variance)
    wide = x.astype(np.float64)
    assert np.allclose(mean, wide.mean((0, 2)), rtol=1e-12, atol=1e-12)
    assert np.allclose(variance, wide.var((0, 2)), rtol=1e-9, atol=1e-12)


def test_results_do_not_depend_on_threads():
    results, before = [], get_num_threads()
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            for shape in ((50, 130, 1), (3, 7, 500), (1, 1, 100_000)):
                x, y = values(shape, np.float32), np.empty(shape, np.float32)
                numbers = [np.empty(shape[1]) for _ in range(4)]
                channels.sums(x, x, *numbers[:2])
                channels.moments(x, *numbers[2:])
                part = numbers[0].astype(np.float32)
                channels.affine(x, part, part, part, y)
                results.append((y.tobytes(), *(n.tobytes() for n in numbers)))
    finally:
        set_num_threads(before)
    assert results[:3] == results[3:6] == results[6:]


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 1)])
def test_the_source_runs_as_python_too(shape):
    a, b = values(shape, np.float64), values(shape, np.float64, 1)
    for kernel, arguments in ((channels.sums, (a, b)), (channels.moments, (a,))):
        plain, compiled = np.empty((2, 3)), np.empty((2, 3))
        kernel(*arguments, *compiled)
        kernel.py_func(*arguments, *plain)
        assert np.allclose(plain, compiled, rtol=1e-14)
