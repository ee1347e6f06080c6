"""How columns are cut into panels, which tiles there are, and what kernels pass to them."""

import itertools

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution.winograd.forward import cut_evenly
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.simd import microkernels as _micro
from pycaffe_lite.kernels.simd import tiles as _tiles
from pycaffe_lite.kernels.simd.tiles import (
    LINE_VECTORS,
    SLIDE_SIZES,
    SLIDE_STRIDES,
    STREAM_ROWS,
    TWO_VECTORS,
    WIDE_PICK,
    dot_tile,
    line_tile,
    max_dot_rows,
    max_outer_rows,
    max_pick_rows,
    outer_tile,
    panel_start,
    pick_tile,
    slide_number,
    slide_tile,
    spread_tile,
    stream_tile,
    tile_count,
    tile_table,
)

LANES = 8


def panels(vectors):
    """Where the panels of so many vectors of columns start, and where the last one ends, in vectors."""
    starts, number = [0], 0
    while starts[-1] < vectors:
        number += 1
        starts.append(panel_start(number, vectors * LANES, LANES) // LANES)
    return starts


@pytest.mark.parametrize("vectors", range(1, 30))
def test_panels_are_wide_and_no_vector_is_left_alone(vectors):
    starts = panels(vectors)
    widths = [end - start for start, end in itertools.pairwise(starts)]
    assert sum(widths) == vectors
    assert max(widths) <= WIDE_PICK
    assert widths == sorted(widths, reverse=True)
    assert min(widths) > 1 or vectors == 1
    assert len(widths) == -(-vectors // WIDE_PICK)


@pytest.mark.parametrize("vectors", range(1, 30))
def test_what_is_taken_in_order_is_cut_alike(vectors):
    """The panels of the first columns, up to where a panel ends, are those of these columns alone."""
    starts = panels(vectors)
    for count, end in enumerate(starts[1:], 1):
        assert panels(end) == starts[: count + 1]


@pytest.mark.parametrize("vectors", range(1, 30))
@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_blocks_are_whole_panels(vectors, parts):
    height, blocks = cut_evenly(vectors * LANES, parts, LANES)
    assert 1 <= blocks <= parts
    starts = [block * height // LANES for block in range(blocks)]
    assert set(starts) <= set(panels(vectors)[:-1])
    assert vectors * LANES - starts[-1] * LANES <= height + LANES


@pytest.mark.parametrize(
    ("rows", "most", "count"), [(1, 12, 1), (12, 12, 1), (13, 12, 2), (50, 12, 5), (7, 1, 7)]
)
def test_the_fewest_tiles(rows, most, count):
    assert tile_count(rows, most) == count
    heights = [(t + 1) * rows // count - t * rows // count for t in range(count)]
    assert sum(heights) == rows
    assert max(heights) <= most
    assert max(heights) - min(heights) <= 1


@serial_kernel
def most_rows(rows):
    rows[0], rows[1] = max_outer_rows(), max_dot_rows()
    for vectors in range(1, 4):
        rows[1 + vectors] = max_pick_rows(vectors)


def test_every_tile_is_in_the_table():
    """A missing one would be called at the address 0."""
    rows = np.zeros(5, np.int64)
    most_rows(rows)
    outer, dot, *pick = rows.tolist()
    assert (outer, dot) == (_micro.outer_rows(), _micro.dot_rows())
    assert pick == [_micro.pick_rows(vectors) for vectors in (1, 2, 3)]
    assert outer <= 12
    assert max(pick) <= 12
    assert dot <= 5
    table = tile_table(np.dtype(np.float32))
    there = {_tiles.LINE, *(_tiles.FIRST_STREAM + depth for depth in range(1, STREAM_ROWS + 1))}
    there |= {count * 3 + shape for count in range(1, outer + 1) for shape in range(3)}
    there |= {_tiles.FIRST_DOT + 2 * count + half for count in range(1, dot + 1) for half in (0, 1)}
    there |= {
        _tiles.FIRST_PICK + 3 * count + vectors
        for vectors in range(3)
        for count in range(1, pick[vectors] + 1)
    }
    there |= {slide_number(size, stride) for size in SLIDE_SIZES for stride in SLIDE_STRIDES}
    there |= {_tiles.FIRST_SPREAD, _tiles.FIRST_SPREAD + 1}
    assert set(np.flatnonzero(table)) == there
    assert len(set(table[table != 0])) == len(there)


# --------------------------------------------------------------- calls, with another offset for each array


L = target().lanes(4)
F32 = np.float32


def tiles():
    return tile_table(np.dtype(F32))


random = np.random.default_rng(0)
# What all tiles below read; whole numbers, so that sums are exact.
A, B = (random.integers(-4, 5, 40 * L).astype(F32) for _ in range(2))


@serial_kernel
def outer(tiles, shape, depth, a, b, taps, c, ldc, sites, start, accumulate, activate, slope, bypass):
    outer_tile(
        tiles, 2, shape, depth, a, 3, b, 5, taps, 1, c, 2, ldc, sites, start, 4, accumulate, activate,
        slope, bypass,
    )  # fmt: skip


def test_outer_tile():
    depth, ldc = 3, 2 * L + 1
    sites, taps = np.array([0, L + 1, 0, 0, 0, L, 0, 0]), np.array([-99, 0, 2, 7])
    start, c = np.arange(10, dtype=F32), np.full(2 + 2 * ldc, np.nan, F32)
    outer(tiles(), TWO_VECTORS, depth, A, B, taps, c, ldc, sites, start, False, True, F32(0.5), False)
    for i, s in np.ndindex(2, 2):
        products = [A[3 + k * 2 + i] * B[5 + sites[s] + taps[1 + k] :][:L] for k in range(depth)]
        value = start[4 + i] + sum(products)
        value = np.where(value > 0, value, value / 2)
        assert np.array_equal(c[2 + sites[4 + s] + i * ldc :][:L], value)
    before = c.copy()
    outer(tiles(), TWO_VECTORS, depth, A, B, taps, c, ldc, sites, start, True, False, F32(0.5), False)
    for i, s in np.ndindex(2, 2):
        products = [A[3 + k * 2 + i] * B[5 + sites[s] + taps[1 + k] :][:L] for k in range(depth)]
        place = 2 + sites[4 + s] + i * ldc
        assert np.array_equal(c[place : place + L], before[place : place + L] + sum(products))


@serial_kernel
def dot(tiles, halves, columns, whole, rest, a, a_steps, b, taps, b_steps, c, accumulate):
    dot_tile(
        tiles, 2, columns, halves, whole, rest, a, 3, 4 * L, a_steps, 1, b, 5, taps, 2, b_steps, c, 2, 5,
        accumulate, 0,
    )  # fmt: skip


@pytest.mark.parametrize("halves", [False, True])
def test_dot_tile(halves):
    whole, columns, size = 2, 3, L // 2 if halves else L
    a_steps, taps = np.array([-99, 0, L + 1]), np.array([-99, -99, 0, 6, 3])
    b_steps = np.array([-99, *([-99] * halves), *(t * (size + 1) for t in range(2 * (1 + halves)))])
    c = np.full(2 + 2 * 5, np.nan, F32)
    for accumulate in (False, True):
        dot(tiles(), halves, columns, whole, 0, A, a_steps, B, taps, b_steps, c, accumulate)
    for i, j in np.ndindex(2, columns):
        row = np.concatenate([A[3 + i * 4 * L + a_steps[1 + t] :][:L] for t in range(whole)])
        pieces = b_steps[1 + halves :]
        column = np.concatenate([B[5 + taps[2 + j] + piece :][:size] for piece in pieces])
        assert c[2 + i * 5 + j] == 2 * row @ column
    assert np.isnan(c).sum() == c.size - 2 * columns


@serial_kernel
def pick(tiles, depth, a, rows_at, depth_at, b, c, ldc):
    pick_tile(
        tiles, 2, 1, depth, a, 3, rows_at, 1, depth_at, 2, b, 5, L + 1, c, 4, ldc, False, 0, 0, 1
    )  # fmt: skip


def test_pick_tile():
    depth, ldc = 3, L + 2
    rows_at, depth_at = np.array([-99, 0, 20]), np.array([-99, -99, 0, 4, 1])
    c = np.full(4 + 2 * ldc, np.nan, F32)
    pick(tiles(), depth, A, rows_at, depth_at, B, c, ldc)
    for i in range(2):
        products = [A[3 + rows_at[1 + i] + depth_at[2 + k]] * B[5 + k * (L + 1) :][:L] for k in range(depth)]
        assert np.array_equal(c[4 + i * ldc :][:L], sum(products))
    assert np.isnan(c).sum() == c.size - 2 * L


@serial_kernel
def stream(tiles, a, b, c):
    stream_tile(tiles, 2, L + 1, 3, a, 3, b, 5, 2 * L, c, 4)


def test_stream_tile():
    c = np.zeros(4 + 3 * 2 * L, F32)
    stream(tiles(), A, B, c)
    for i in range(3):
        value = A[3 + 2 * i] * B[5 : 5 + L + 1] + A[4 + 2 * i] * B[5 + 2 * L :][: L + 1]
        assert np.array_equal(c[4 + i * 2 * L :][: L + 1], value)
    assert not c[:4].any()


@serial_kernel
def line(tiles, sites, count, depth, a, b, taps, c, start, slope):
    line_tile(tiles, sites, count, depth, a, 3, b, 5, taps, c, 2, start, True, slope)


def test_line_tile():
    sites = np.array([(s, s * (L + 1), min(L, s + 1)) for s in range(LINE_VECTORS)])
    taps, c = np.array([0, 4]), np.full(2 + LINE_VECTORS * (L + 1), np.nan, F32)
    line(tiles(), sites, LINE_VECTORS, 2, A, B, taps, c, F32(1), F32(0.5))
    for at, to, size in sites:
        value = 1 + sum(A[3 + k] * B[5 + at + taps[k] :][:size] for k in range(2))
        assert np.array_equal(c[2 + to :][:size], np.where(value > 0, value, value / 2))
    assert np.isnan(c).sum() == c.size - sites[:, 2].sum()


@serial_kernel
def slide(tiles, number, lines, a, b, row, taps, c, ldc, count, start, slope):
    slide_tile(tiles, number, lines, a, 3, b, 5, row, taps, c, 2, ldc, count, start, slope)


def test_slide_tile():
    taps, c, row = np.array([0, 3, 1]), np.full(2 + 2 * (L + 1), np.nan, F32), L + 4
    slide(tiles(), slide_number(3, 2), 2, A, B, row, taps, c, L + 1, L - 1, F32(1), F32(0.5))
    for p in range(2):
        value = np.ones(L - 1, F32)
        for i, j in np.ndindex(3, 3):
            value += A[3 + 3 * i + j] * B[5 + (2 * p + i) * row + taps[j] :][: L - 1]
        assert np.array_equal(c[2 + p * (L + 1) :][: L - 1], np.where(value > 0, value, value / 2))
    assert np.isnan(c).sum() == c.size - 2 * (L - 1)


@serial_kernel
def spread(tiles, stride, lines, x, width, out, row, run, first):
    spread_tile(tiles, stride, lines, x, 3, width, out, 2, row, run, first)


def test_spread_tile():
    width, run = 2 * L + 3, 2 * L + 4
    out = np.full(2 + 2 * 2 * run, np.nan, F32)
    spread(tiles(), 2, 2, A, width, out, 2 * run, run, 1)
    for h, w in np.ndindex(2, width):
        assert out[2 + h * 2 * run + (1 + w) % 2 * run + (1 + w) // 2] == A[3 + h * width + w]
    assert np.isnan(out[:2]).all()
