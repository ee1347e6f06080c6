"""Copies in whole vectors: what they copy, and what they leave alone."""

import numpy as np
import pytest

from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.simd.copies import (
    bring_near,
    copy_every_fourth,
    copy_every_second,
    copy_exact,
    copy_lines,
    copy_memory,
    copy_run,
    transpose_exact,
    transpose_runs,
    zero_run,
)
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched

LANES = target().lanes(4)
COUNTS = [0, 1, LANES - 1, LANES, LANES + 1, 3 * LANES + 2]


@serial_kernel
def copy_by(way, source, at, out, to, count):
    if way == 0:
        copy_exact(source, at, out, to, count)
    elif way == 1:
        copy_memory(source, at, out, to, count)
    elif way == 2:
        copy_run(source, at, out, to, count)
    elif way == 3:
        copy_every_second(source, at, out, to, count)
    elif way == 4:
        copy_every_fourth(source, at, out, to, count)
    else:
        zero_run(out, to, count)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("way", [0, 1])
def test_exact_copies_touch_nothing_else(way, count):
    source = np.full(count + 8, np.nan, np.float32)
    source[3 : 3 + count] = np.arange(count)
    out = guarded_nans(count, np.float32)
    whole = out.base  # with the NaNs around it
    copy_by(way, source, 3, whole, (whole.size - count) // 2, count)
    begin = (whole.size - count) // 2
    assert np.array_equal(whole[begin : begin + count], np.arange(count, dtype=np.float32))
    assert np.isnan(whole).sum() == whole.size - count


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(("way", "stride"), [(2, 1), (3, 2), (4, 4)])
def test_copies_of_whole_vectors_reach_a_vector_beyond(way, stride, count):
    room = -(-count // LANES) * LANES  # what may be written
    source = guarded(np.arange(5 + stride * room, dtype=np.float32))
    out = guarded_nans(2 + room, np.float32)
    copy_by(way, source, 5, out, 2, count)
    assert np.array_equal(out[2 : 2 + count], source[5::stride][:count])
    assert np.isnan(out[:2]).all()
    assert margins_untouched(out)


@pytest.mark.parametrize("count", COUNTS)
def test_runs_of_zeros(count):
    room = -(-count // LANES) * LANES
    out = guarded_nans(2 + room, np.float32)
    copy_by(5, out, 0, out, 2, count)
    assert not out[2 : 2 + count].any()
    assert np.isnan(out[:2]).all()
    assert margins_untouched(out)


@serial_kernel
def transpose(exact, a, at, row_stride, rows, out, to, out_stride, count):
    if exact:
        transpose_exact(a, at, row_stride, rows, out, to, out_stride, count)
    else:
        transpose_runs(a, at, row_stride, rows, out, to, out_stride)


def square(rows):
    """Rows of LANES numbers with 3 more between them, and NaNs in the rows that are not to be read."""
    a = guarded_nans((LANES, LANES + 3), np.float32)
    a[:rows] = np.arange(rows * (LANES + 3)).reshape(rows, -1)
    return a


@pytest.mark.parametrize("rows", range(1, LANES + 1))
def test_transposed_runs(rows):
    a, stride = square(rows), LANES + 2
    out = guarded_nans(LANES * stride + 1, np.float32)
    transpose(False, a[:rows].reshape(-1), 2, LANES + 3, rows, out, 1, stride, 0)
    columns = out[1:].reshape(LANES, stride)
    assert np.array_equal(columns[:, :rows], a[:rows, 2 : 2 + LANES].T)
    # The first row has been read in place of those that are not there.
    assert (columns[:, rows:LANES] == a[0, 2 : 2 + LANES, None]).all()
    assert np.isnan(out[0])
    assert np.isnan(columns[:, LANES:]).all()
    assert margins_untouched(out)


@pytest.mark.parametrize("rows", [1, LANES // 2 + 1, LANES])
@pytest.mark.parametrize("count", [1, LANES // 2 + 1, LANES])
def test_exactly_transposed_runs(rows, count):
    a, stride = square(rows), LANES + 2
    out = guarded_nans(LANES * stride + 1, np.float32)
    transpose(True, a[:rows].reshape(-1), 2, LANES + 3, rows, out, 1, stride, count)
    columns = out[1:].reshape(LANES, stride)
    assert np.array_equal(columns[:count, :rows], a[:rows, 2 : 2 + count].T)
    assert np.isnan(out).sum() == out.size - rows * count
    assert margins_untouched(out)


@serial_kernel
def copy(source, at, width, lines, out, to, line, first):
    copy_lines(source, at, width, lines, out, to, line, first)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 7, 16, 33, 60])
@pytest.mark.parametrize("first", [0, 2, 19, 40])
@pytest.mark.parametrize("beyond", [-5, 0, 3, 21])
def test_copied_lines_lie_between_zeros(dtype, width, first, beyond):
    lines, line, room = 3, max(1, first + width + beyond), 16
    source = guarded(np.arange(1, lines * width + 1, dtype=dtype))
    out = guarded_nans(lines * line + room, dtype)
    copy(source, 0, width, lines, out, 0, line, first)
    wanted = np.zeros((lines, first + width + max(beyond, 0)), dtype)
    wanted[:, first : first + width] = source.reshape(lines, width)
    np.testing.assert_array_equal(out[: lines * line].reshape(lines, line), wanted[:, :line])
    assert margins_untouched(out)


@serial_kernel
def look_ahead(x, start, count):
    bring_near(x, start, count)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("start", "count"), [(0, 100), (90, 5000), (1 << 40, 100), (-(1 << 40), 100), (0, 0)]
)
def test_to_look_beyond_an_array_does_no_harm(dtype, start, count):
    x = np.arange(100, dtype=dtype)
    look_ahead(x, start, count)
    assert np.array_equal(x, np.arange(100))
