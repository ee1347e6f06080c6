"""The functions of the micro-kernels, called as kernels call them, against plain loops in whole numbers."""

import ctypes
import itertools

import numpy as np
import pytest
from numba.np.numpy_support import from_dtype

from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.memory import aligned_zeros
from pycaffe_lite.kernels.simd import microkernels as _micro
from pycaffe_lite.kernels.simd import tiles as _tiles
from pycaffe_lite.kernels.simd.microkernels import FOUR_HALVES, ONE_VECTOR, TWO_VECTORS
from pycaffe_lite.kernels.simd.tiles import tile_table
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched

DTYPES = [np.float32, np.float64]
both = pytest.mark.parametrize("dtype", DTYPES)
TYPES = {"i64": ctypes.c_int64, "i1": ctypes.c_bool, "float": ctypes.c_float, "double": ctypes.c_double}


def call(number, arguments, dtype, *args):
    """Call the function at an index of the table; arrays stand for their addresses."""
    kinds = arguments(from_dtype(np.dtype(dtype)))
    assert len(kinds) == len(args)
    signature = ctypes.CFUNCTYPE(None, *(TYPES.get(str(kind), ctypes.c_void_p) for kind in kinds))
    values = [arg.ctypes.data if isinstance(arg, np.ndarray) else arg for arg in args]
    signature(int(tile_table(np.dtype(dtype))[number]))(*values)


def lanes_of(dtype):
    return target().lanes(np.dtype(dtype).itemsize)


def whole_numbers(size, dtype, seed=0):
    return guarded(np.random.default_rng(seed).integers(-4, 5, size).astype(dtype))


def integers(*numbers):
    return np.array(numbers, np.int64)


def activated(value, slope):
    return np.where(value > 0, value, slope * value)


# --------------------------------------------------------------------------------------------- outer tiles


OUTER = [(rows, shape) for rows in (1, 2, 5, _micro.outer_rows()) for shape in range(3)]


@both
@pytest.mark.parametrize(("rows", "shape"), OUTER)
@pytest.mark.parametrize(
    ("depth", "accumulate", "activate"), [(1, False, False), (5, False, True), (4, True, True)]
)
def test_outer_tiles(dtype, rows, shape, depth, accumulate, activate):
    lanes = lanes_of(dtype)
    run, runs = {ONE_VECTOR: (lanes, 1), TWO_VECTORS: (lanes, 2), FOUR_HALVES: (lanes // 2, 4)}[shape]
    ldc, slope = runs * (run + 1), 0.5
    sites = integers(*(3 + s * (run + 2) for s in range(4)), *(1 + s * (run + 1) for s in range(4)))
    taps = integers(*(k * 5 for k in range(depth)))
    a, b = whole_numbers(depth * rows, dtype), whole_numbers(taps.max() + sites[3] + 2 * lanes, dtype, 1)
    start, c = whole_numbers(rows, dtype, 2), guarded_nans(rows * ldc, dtype)
    before = c.copy()
    for i, s in np.ndindex(rows, runs):
        first = i * ldc + sites[4 + s]
        if accumulate:
            c[first : first + run] = np.arange(run)
        value = np.full(run, c[first : first + run] if accumulate else start[i])
        for k in range(depth):
            value = value + a[k * rows + i] * b[sites[s] + taps[k] :][:run]
        before[first : first + run] = activated(value, slope if activate else 1)
    call(
        rows * _micro.SHAPES + shape, _micro.outer_arguments, dtype, depth, a, b, taps, c, ldc, sites, start,
        accumulate, activate, slope, False,
    )  # fmt: skip
    assert np.array_equal(c, before, equal_nan=True)  # and what lies between the runs is still NaN
    assert margins_untouched(c)


@both
@pytest.mark.parametrize("shift", [0, 1])
def test_outer_tiles_that_write_past_the_caches(dtype, shift):
    lanes = lanes_of(dtype)
    a, b, start = np.ones(2, dtype), whole_numbers(2 * lanes, dtype), np.zeros(2, dtype)
    c = aligned_zeros(6 * lanes, dtype)
    sites = integers(0, lanes, 0, 0, shift, shift + lanes, 0, 0)
    number = 2 * _micro.SHAPES + TWO_VECTORS
    call(
        number, _micro.outer_arguments, dtype, 1, a, b, integers(0), c, 2 * lanes, sites, start,
        False, False, 1.0, True,
    )  # fmt: skip
    for row in (0, 2 * lanes):
        assert np.array_equal(c[shift + row : shift + row + 2 * lanes], b)
    assert not c[shift + 4 * lanes :].any()


# ----------------------------------------------------------------------------------------------- dot tiles


DOT = list(itertools.product(range(1, _micro.dot_rows() + 1), (False, True)))


@both
@pytest.mark.parametrize(("rows", "halves"), DOT)
@pytest.mark.parametrize(
    ("columns", "whole", "rest"), [(4, 2, 0), (4, 1, 1), (1, 0, 2), (2, 3, 1), (3, 2, 0)]
)
@pytest.mark.parametrize(("accumulate", "ahead"), [(False, 0), (True, 8)])
def test_dot_tiles(dtype, rows, halves, columns, whole, rest, accumulate, ahead):
    lanes = lanes_of(dtype)
    rest = 0 if halves else min(rest, lanes - 1)
    whole = max(whole, 1) if halves else whole
    size, steps = lanes // 2 if halves else lanes, whole + (rest > 0)
    a_steps = integers(*(t * (lanes + 1) for t in range(steps)))
    b_steps = integers(*(2 + t * (size + 3) for t in range(steps * (2 if halves else 1))))
    lda, taps = a_steps[-1] + lanes, integers(*(j * 7 for j in range(columns)))
    a = whole_numbers((rows - 1) * lda + a_steps[-1] + (rest or lanes), dtype)
    b = whole_numbers(taps[-1] + b_steps[-1] + (rest or size), dtype, 1)
    ldc = columns + 2
    c = guarded_nans(rows * ldc, dtype)
    exact = c.copy()
    for i, j in np.ndindex(rows, columns):
        if accumulate:
            c[i * ldc + j] = 100 * i + j
        total = c[i * ldc + j] if accumulate else 0
        for t in range(steps):
            count = lanes if t < whole else rest
            for lane in range(count):
                n, place = divmod(lane, size)
                other = b[taps[j] + b_steps[(2 * t if halves else t) + n] + place]
                total += a[i * lda + a_steps[t] + lane] * other
        exact[i * ldc + j] = total
    number = _tiles.FIRST_DOT + rows * 2 + halves
    call(
        number, _micro.dot_arguments, dtype, columns, whole, rest, a, lda, a_steps, b, taps, b_steps, c, ldc,
        accumulate, ahead,
    )  # fmt: skip
    assert np.array_equal(c, exact, equal_nan=True)
    assert margins_untouched(c)


# ---------------------------------------------------------------------------------- pick and stream tiles


PICK = [(rows, v) for v in (1, 2, 3) for rows in sorted({1, 2, _micro.pick_rows(v)})]


@both
@pytest.mark.parametrize(("rows", "vectors"), PICK)
@pytest.mark.parametrize("accumulate", [False, True])
def test_pick_tiles(dtype, rows, vectors, accumulate):
    lanes = lanes_of(dtype)
    width = vectors * lanes
    for depth in (1, lanes, 2 * lanes + 3):
        rows_at, depth_at = integers(*(i * 9 for i in range(rows))), integers(*(k * 3 for k in range(depth)))
        ldb, ldc = width + 1, width + 2
        a, b = whole_numbers(rows_at[-1] + depth_at[-1] + 1, dtype), whole_numbers(depth * ldb, dtype, 1)
        c = guarded_nans(rows * ldc, dtype)
        exact = c.copy()
        for i in range(rows):
            line = slice(i * ldc, i * ldc + width)
            if accumulate:
                c[line] = i
            products = [a[rows_at[i] + depth_at[k]] * b[k * ldb :][:width] for k in range(depth)]
            exact[line] = sum(products) + (i if accumulate else 0)
        number = _tiles.FIRST_PICK + rows * _micro.WIDE_PICK + vectors - 1
        call(
            number, _micro.pick_arguments, dtype, depth, a, rows_at, depth_at, b, ldb, c, ldc, accumulate, 4,
            b, 2,
        )  # fmt: skip
        assert np.array_equal(c, exact, equal_nan=True)
        assert margins_untouched(c)


@both
@pytest.mark.parametrize("depth", [1, 3, _micro.STREAM_ROWS])
@pytest.mark.parametrize("rows", [1, 3])
def test_stream_tiles(dtype, depth, rows):
    panel = 2 * lanes_of(dtype)
    for columns in (1, panel - 1, panel, panel + 1, 2 * panel + panel // 2 + 1):
        panels, ldb = -(-columns // panel), columns + 1
        a, b = whole_numbers(rows * depth, dtype), whole_numbers((depth - 1) * ldb + columns, dtype, 1)
        c = guarded(np.full(panels * rows * panel, 10, dtype))
        call(_tiles.FIRST_STREAM + depth, _micro.stream_arguments, dtype, columns, rows, a, b, ldb, c)
        for i, j in np.ndindex(rows, columns):
            p, place = divmod(j, panel)
            total = 10 + sum(a[i * depth + k] * b[k * ldb + j] for k in range(depth))
            assert c[(p * rows + i) * panel + place] == total
        assert margins_untouched(c)


# --------------------------------------------------------------------------- lines of depthwise convolutions


@both
@pytest.mark.parametrize("activate", [False, True])
@pytest.mark.parametrize(("groups", "depth"), [(1, 1), (2, 4)])
def test_line_tiles(dtype, activate, groups, depth):
    lanes, count = lanes_of(dtype), groups * _micro.LINE_VECTORS
    sizes = [lanes if s % 2 else 1 + s % lanes for s in range(count)]
    sites = np.array([(s * 3, s * (lanes + 1), sizes[s]) for s in range(count)], np.int64)
    taps = integers(*(k * 2 for k in range(depth)))
    a, b = whole_numbers(depth, dtype), whole_numbers(sites[-1, 0] + taps[-1] + lanes, dtype, 1)
    c = guarded_nans(count * (lanes + 1), dtype)
    exact = c.copy()
    for at, to, size in sites:
        value = 3 + sum(a[k] * b[at + taps[k] :][:size] for k in range(depth))
        exact[to : to + size] = activated(value, 0.5 if activate else 1)
    call(_tiles.LINE, _micro.line_arguments, dtype, sites, count, depth, a, b, taps, c, 3.0, activate, 0.5)
    assert np.array_equal(c, exact, equal_nan=True)
    assert margins_untouched(c)


@both
@pytest.mark.parametrize("size", _micro.SLIDE_SIZES)
@pytest.mark.parametrize("stride", _micro.SLIDE_STRIDES)
@pytest.mark.parametrize("lines", [1, 2, 5])
def test_slide_tiles(dtype, size, stride, lines):
    lanes = lanes_of(dtype)
    for count in (1, lanes):
        taps, line, ldc = integers(*(j * 2 for j in range(size))), 2 * size + lanes, count + 1
        a = whole_numbers(size * size, dtype)
        b = whole_numbers(((lines - 1) * stride + size - 1) * line + taps[-1] + lanes, dtype, 1)
        c = guarded_nans(lines * ldc, dtype)
        exact = c.copy()
        for p in range(lines):
            value = np.full(count, 2, dtype)
            for i, j in np.ndindex(size, size):
                value = value + a[i * size + j] * b[(p * stride + i) * line + taps[j] :][:count]
            exact[p * ldc : p * ldc + count] = activated(value, 0.25)
        number = _tiles.slide_number(size, stride)
        call(number, _micro.slide_arguments, dtype, lines, a, b, line, taps, c, ldc, count, 2.0, 0.25)
        assert np.array_equal(c, exact, equal_nan=True)
        assert margins_untouched(c)


@both
@pytest.mark.parametrize("stride", _micro.SLIDE_STRIDES)
@pytest.mark.parametrize("first", [0, 1, 4])
def test_spread_tiles(dtype, stride, first):
    lanes, lines = lanes_of(dtype), 3
    for width in (1, lanes - 1, lanes, lanes + 1, 2 * lanes, 3 * lanes + 1):
        run = (first + max(width, stride * lanes)) // stride + 2
        line = stride * run
        x, out = whole_numbers(lines * width, dtype), guarded_nans(lines * line, dtype)
        call(
            _tiles.FIRST_SPREAD + stride - 1,
            _micro.spread_arguments,
            dtype,
            lines,
            x,
            width,
            out,
            line,
            run,
            first,
        )
        for h, w in np.ndindex(lines, width):
            u = first + w
            assert out[h * line + u % stride * run + u // stride] == x[h * width + w]
        written = out[~np.isnan(out)]
        assert written.size == lines * max(width, stride * lanes)
        assert written.sum() == x.sum()  # zeros follow the numbers of a short line
        assert margins_untouched(out)


# --------------------------------------------------------------------------------------------- their sizes


@pytest.mark.parametrize("cpu", [(16, 16, False), (32, 16, True), (64, 32, True)])
def test_tiles_fit_the_registers(monkeypatch, cpu):
    vector_bytes, registers, fma = cpu
    cpu = type(target())(vector_bytes, registers, fma)
    monkeypatch.setattr(_micro, "target", lambda: cpu)
    product = 0 if fma else 1  # a multiplication by itself needs a register for its result
    assert 2 * _micro.outer_rows() + 2 + 1 + product <= registers
    for vectors in range(1, _micro.WIDE_PICK + 1):
        rows = _micro.pick_rows(vectors)
        assert rows * vectors + vectors + product <= registers
        assert rows <= 10
    assert _micro.dot_rows() * (_micro.DOT_COLUMNS + 1) + 1 + product <= registers
