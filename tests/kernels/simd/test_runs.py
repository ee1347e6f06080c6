"""Maxima and sums over windows of neighbouring outputs, against plain loops."""

import numpy as np
import pytest

from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.simd.runs import LEAST_RUN, add_lines, max_rows, mean_run, spread_run
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched

LANES = target().lanes(4)
COUNTS = [c for c in (LEAST_RUN, LEAST_RUN + 1, LANES - 1, LANES, LANES + 1, 3 * LANES + 2) if c >= LEAST_RUN]
DTYPES = [np.float32, np.float64]
both = pytest.mark.parametrize("dtype", DTYPES)
strides = pytest.mark.parametrize("stride", [1, 2])
counts = pytest.mark.parametrize("count", COUNTS)


@serial_kernel
def maxima(x, at, row, high, wide, stride_h, stride, rows, count, lowest, y, to, index, index_at, index_row):
    max_rows(
        x, at, row, high, wide, stride_h, stride, rows, count, lowest, y, to, index, index_at, index_row
    )  # fmt: skip


def whole_numbers(size, dtype, low=-9, high=9):
    """Numbers whose sums are exact, of which many are equal; NaNs around them."""
    return guarded(np.random.default_rng(size).integers(low, high, size).astype(dtype))


@both
@strides
@counts
@pytest.mark.parametrize(("high", "wide"), [(2, 2), (3, 3), (1, 4), (3, 2)])
def test_maxima_and_where_they_are(dtype, stride, count, high, wide):
    rows, stride_h, row = 2, 3, (count - 1) * stride + wide
    lines = (rows - 1) * stride_h + high
    x = whole_numbers(2 + lines * row, dtype)
    y, index = guarded_nans(1 + rows * count, dtype), np.full(1 + rows * count, -7, np.int32)
    maxima(x, 2, row, high, wide, stride_h, stride, rows, count, dtype(-5), y, 1, index, 1000, 100)
    for p, o in np.ndindex(rows, count):
        best, place = -5, -1
        for i, j in np.ndindex(high, wide):
            value = x[2 + (p * stride_h + i) * row + o * stride + j]
            if value > best:
                best, place = value, 1000 + (p * stride_h + i) * 100 + o * stride + j
        assert (y[1 + p * count + o], index[1 + p * count + o]) == (best, place)
    assert np.isnan(y[0])
    assert index[0] == -7
    assert margins_untouched(y)
    alone = guarded_nans(1 + rows * count, dtype)
    maxima(x, 2, row, high, wide, stride_h, stride, rows, count, dtype(-5), alone, 1, None, 0, 0)
    assert np.array_equal(alone, y, equal_nan=True)


@serial_kernel
def sums(kind, x, at, a, b, stride, count, widths, y, to):
    if kind == 0:
        add_lines(x, at, a, b, count, y, to)
    elif kind == 1:
        mean_run(x, at, a, stride, count, x.dtype.type(b), widths, y, to)
    else:
        spread_run(x, at, a, b, stride, count, y, to)


NO_WIDTHS = np.ones(1, np.float32)


@both
@counts
@pytest.mark.parametrize("lines", [1, 3])
def test_lines_are_added(dtype, count, lines):
    line = count + 2
    x, y = whole_numbers(1 + (lines - 1) * line + count, dtype), guarded_nans(2 + count, dtype)
    sums(0, x, 1, line, lines, 1, count, NO_WIDTHS.astype(dtype), y, 2)
    assert np.array_equal(y[2:], sum(x[1 + i * line :][:count] for i in range(lines)))
    assert np.isnan(y[:2]).all()
    assert margins_untouched(y)


@both
@strides
@counts
@pytest.mark.parametrize("wide", [1, 2, 5])
def test_means_over_windows_that_may_be_cut(dtype, stride, count, wide):
    x, y = whole_numbers(1 + (count - 1) * stride + wide, dtype), guarded_nans(2 + count, dtype)
    widths = guarded(np.random.default_rng(1).choice([1, 2, 4], count).astype(dtype))
    sums(1, x, 1, wide, 4, stride, count, widths, y, 2)
    exact = [x[1 + o * stride :][:wide].sum() / (4 * widths[o]) for o in range(count)]
    assert np.array_equal(y[2:], np.array(exact, dtype))
    assert np.isnan(y[:2]).all()
    assert margins_untouched(y)


@both
@strides
@counts
@pytest.mark.parametrize(("first", "second"), [(1, 1), (2, 1), (3, 2)])
def test_sums_of_what_lies_before_are_spread(dtype, stride, count, first, second):
    back = first - 1
    x, y = whole_numbers(back + count, dtype), guarded_nans(1 + stride * count, dtype)
    sums(2, x, back, first, second, stride, count, NO_WIDTHS.astype(dtype), y, 1)
    for o in range(count):
        assert y[1 + o * stride] == sum(x[back + o - i] for i in range(first))
        if stride == 2:
            assert y[2 + o * stride] == sum(x[back + o - i] for i in range(second))
    assert np.isnan(y[0])
    assert margins_untouched(y)
