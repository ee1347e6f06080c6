"""Packed matrices as their docstrings lay them out, and the loops round the micro-kernels."""

import itertools

import numpy as np
import pytest

from pycaffe_lite.kernels.products.blocks import (
    OUTER_TILE_SIZE,
    ROWS,
    SHALLOW,
    SITES_SIZE,
    SUM_DEPTH,
    Packing,
    dot_block,
    multiply_lines,
    multiply_packed,
    pack_all,
    pack_panels,
    row_length,
    store_transposed,
    whole_vectors,
)
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.scratch import no_memory
from pycaffe_lite.kernels.simd.microkernels import outer_rows
from pycaffe_lite.kernels.simd.tiles import DOT_COLUMNS, tile_count, tile_table
from tests.kernels.guarded import at_the_end_of_memory, guarded, guarded_nans, margins_untouched

LANES = target().lanes(4)
TILES = tile_table(np.dtype(np.float32))
NONE = np.empty(0, np.float32)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rows_of(a, p):
    """A as the docstring of Packing reads it: (rows, outer * inner)."""
    r, i, j = np.ogrid[: p.rows, : p.outer, : p.inner]
    return a[p.at + r * p.row_stride + i * p.outer_stride + j * p.inner_stride].reshape(p.rows, -1)


# a row after the other; side by side; taps in reverse, channel by channel; more rows than a tile; one number
PACKINGS = {
    "rows in order": Packing(5, 40, 7, 1, 0, 39, 1, 0, 2),
    "more rows than vectors have lanes": Packing(0, 50, 2 * LANES + 3, 1, 0, 41, 1, 0, 0),
    "more rows than a tile": Packing(3, 21, 3 * outer_rows() + 1, 1, 0, 20, 1, 0, 1),
    "rows side by side": Packing(2, 1, 9, 1, 0, 35, 12, 0, 0),
    "rows side by side, close together": Packing(2, 1, 9, 1, 0, 35, 2, 0, 0),
    "channels of taps": Packing(4, 90, 5, 6, 9, 4, 1, 0, 0),
    "taps in reverse": Packing(8, 90, 5, 6, 9, 9, -1, 0, 3),
    "strided": Packing(1, 2, 6, 3, 40, 5, 7, 0, 0),
    "one number": Packing(0, 1, 1, 1, 0, 1, 1, 0, 0),
}


def source_of(p):
    """Just so many numbers as the packing reads: what reads whole vectors meets the end of the array."""
    last = p.at + (p.rows - 1) * p.row_stride + (p.outer - 1) * p.outer_stride
    return numbers(last + max(0, (p.inner - 1) * p.inner_stride) + 1)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("name", PACKINGS)
def test_packed_tiles_hold_all_their_rows_for_each_step(name, scaled):
    p = PACKINGS[name]
    a, depth = source_of(p), p.outer * p.inner
    scale = numbers(p.first + p.rows, seed=1) if scaled else NONE
    out = guarded_nans(p.rows * depth, np.float32)
    pack_all(no_memory(a.dtype), at_the_end_of_memory(a), np.array([p]), scale, out)
    A = rows_of(a, p) * (scale[p.first :, None] if scaled else 1)
    tiles = tile_count(p.rows, outer_rows())
    bounds = [t * p.rows // tiles for t in range(tiles + 1)]
    wanted = [A[top:end].T.ravel() for top, end in itertools.pairwise(bounds)]
    assert np.array_equal(out, np.concatenate(wanted))
    assert margins_untouched(out)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("name", PACKINGS)
def test_packed_panels_hold_rows_as_columns(name, scaled):
    p = PACKINGS[name]
    a, depth, width = source_of(p), p.outer * p.inner, -(-p.rows // LANES) * LANES
    scale = numbers(p.first + p.rows, seed=1) if scaled else NONE
    out = guarded_nans(width * depth, np.float32)
    pack_panels(no_memory(a.dtype), at_the_end_of_memory(a), np.array([(*p, width)]), scale, out)
    A = rows_of(a, p) * (scale[p.first :, None] if scaled else 1)
    assert np.array_equal(out.reshape(depth, width)[:, : p.rows], A.T)
    assert margins_untouched(out)


def test_each_job_packs_to_its_own_place():
    a = numbers(60)
    jobs = [Packing(0, 10, 2, 1, 0, 10, 1, 20, 0), Packing(20, 10, 2, 1, 0, 10, 1, 0, 0)]
    out = guarded_nans(40, np.float32)
    pack_all(no_memory(a.dtype), a, np.array(jobs), NONE, out)
    assert np.array_equal(
        out, np.concatenate([a[20:40].reshape(2, 10).T.ravel(), a[:20].reshape(2, 10).T.ravel()])
    )


@serial_kernel
def lengths(count, like):
    return row_length(count, like), whole_vectors(count, like)


@pytest.mark.parametrize("count", [1, LANES, 2 * LANES, 2 * LANES + 1, 100])
def test_rows_of_a_buffer_hold_whole_tiles_and_an_odd_number_of_vectors(count):
    row, vectors = lengths(count, NONE)
    assert row % LANES == 0
    assert (row // LANES) % 2 == 1
    assert count + LANES <= row < count + 3 * LANES
    assert vectors % LANES == 0
    assert count <= vectors < count + LANES


@serial_kernel
def transpose(a, ld, rows, columns, out, out_ld):
    store_transposed(a, 0, ld, rows, columns, out, 0, out_ld)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (LANES, LANES), (LANES + 3, 2 * LANES + 1), (5, 40)])
def test_a_transposed_matrix_is_stored_exactly(rows, columns):
    ld = -(-columns // LANES) * LANES
    a, out = numbers(rows + LANES, ld), guarded_nans((columns, rows), np.float32)
    transpose(a.ravel(), ld, rows, columns, out.reshape(-1), rows)
    assert np.array_equal(out, a[:rows, :columns].T)
    assert margins_untouched(out)


def packed(A):
    """A as `pack_rows` packs it."""
    out = np.empty(A.size, np.float32)
    p = Packing(0, A.shape[1], len(A), 1, 0, A.shape[1], 1, 0, 0)
    pack_all(no_memory(out.dtype), np.ascontiguousarray(A).ravel(), np.array([p]), NONE, out)
    return out


@serial_kernel
def multiply(
    tiles, a, rows, depth, b, taps, c, ldc, j0, j1, plane, stride, start, add, act, slope, tile, sites
):
    multiply_packed(
        tiles,
        a,
        0,
        rows,
        depth,
        b,
        taps,
        c,
        0,
        ldc,
        j0,
        j1,
        plane,
        stride,
        start,
        0,
        add,
        act,
        slope,
        tile,
        sites,
    )


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(
    ("rows", "depth", "plane", "images"),
    [
        (1, 1, 1, 5),
        (outer_rows() + 1, SHALLOW, 2 * LANES, 2),
        (2 * outer_rows() + 5, SHALLOW + 1, 3 * LANES + 1, 3),
        (7, SUM_DEPTH + 3, 49, 2),
    ],
)
def test_packed_product_of_columns_in_planes(rows, depth, plane, images, accumulate):
    """The columns of an image's plane lie together, those of the next image behind all its rows."""
    A, columns = numbers(rows, depth), plane * images
    B = numbers(depth, columns + 2 * LANES, seed=1)
    C, start = guarded(numbers(images, rows, plane, seed=2)), numbers(rows, seed=3)
    first = C.copy() if accumulate else start[:, None]
    taps = np.arange(depth) * B.shape[1]
    tile, sites = np.empty(OUTER_TILE_SIZE, np.float32), np.empty(SITES_SIZE, np.int64)
    multiply(
        TILES, packed(A), rows, depth, B.ravel(), taps, C.reshape(-1), plane, 0, columns, plane, rows * plane,
        start, accumulate, True, np.float32(0.5), tile, sites,
    )  # fmt: skip
    product = (A.astype(float) @ B[:, :columns]).reshape(rows, images, plane).swapaxes(0, 1) + first
    assert np.allclose(C, np.where(product > 0, product, product / 2), atol=1e-4 * np.sqrt(depth))
    assert margins_untouched(C)


@serial_kernel
def multiply_in_lines(
    tiles, a, rows, depth, b, taps, c, ldc, images, lines, width, b_image, b_line, c_image, start, add, act,
    slope, bypass, sites,
):  # fmt: skip
    multiply_lines(
        tiles, a, 0, rows, depth, b, 0, taps, 0,
        c, 0, ldc, images, lines, width, b_image, b_line, c_image, width,
        start, 0, add, act, slope, bypass, sites,
    )  # fmt: skip


@pytest.mark.parametrize("bypass", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("width", [LANES // 2, LANES, 3 * LANES // 2, 2 * LANES])
@pytest.mark.parametrize("depth", [SHALLOW, SUM_DEPTH + 5])
def test_product_of_lines_read_where_they_stand(depth, width, accumulate, bypass):
    rows, images, lines = outer_rows() + 1, 2, 3
    A, start = numbers(rows, depth), numbers(rows, seed=1)
    x = numbers(images, depth, lines, width + 1, seed=2)  # lines of B are apart
    C = guarded(numbers(images, rows, lines, width, seed=3))
    first = C.copy() if accumulate else start[:, None, None]
    taps, line = np.arange(depth) * x[0, 0].size, width + 1
    multiply_in_lines(
        TILES, packed(A), rows, depth, x.reshape(-1),
        taps, C.reshape(-1), lines * width, images, lines, width,
        x[0].size, line, C[0].size, start, accumulate, True, np.float32(0.5), bypass and not accumulate,
        np.empty(SITES_SIZE, np.int64),
    )  # fmt: skip
    product = np.einsum("mk,nkpq->nmpq", A.astype(float), x[..., :width]) + first
    assert np.allclose(C, np.where(product > 0, product, product / 2), atol=1e-4 * np.sqrt(depth))
    assert margins_untouched(C)


@serial_kernel
def multiply_dots(
    tiles, a, lda, a_steps, rows, b, taps, b_steps, columns, whole, rest, c, ldc, accumulate, a_stays
):
    dot_block(
        tiles, a, 0, lda, a_steps, rows, b, 0, taps,
        0, b_steps, columns, False, whole, rest, c, 0, ldc, accumulate,
        a_stays, 0,
    )  # fmt: skip


@pytest.mark.parametrize("a_stays", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(
    ("rows", "columns", "depth"),
    [(1, 1, 1), (6, 5, LANES), (11, 9, 3 * LANES + 2), (3, 4, (SUM_DEPTH + 2) * LANES + 1)],
)
def test_product_of_rows_along_the_depth(rows, columns, depth, accumulate, a_stays):
    A, B = numbers(rows, depth), numbers(columns, depth, seed=1)
    C = guarded(numbers(rows, columns, seed=2))
    wanted = A.astype(float) @ B.T + (C if accumulate else 0)
    steps, taps = np.arange(0, depth + LANES, LANES), np.arange(columns + DOT_COLUMNS) * depth
    multiply_dots(
        TILES, at_the_end_of_memory(A).reshape(-1), depth, steps,
        rows, at_the_end_of_memory(B).reshape(-1), taps, steps, columns,
        depth // LANES, depth % LANES, C.reshape(-1), columns, accumulate, a_stays,
    )  # fmt: skip
    assert np.allclose(C, wanted, atol=1e-4 * np.sqrt(depth))
    assert margins_untouched(C)


def test_long_sums_are_cut_into_pieces():
    """Equal terms: added up one by one, 100,000 of them would be off by 1e-4, or each lane of them."""
    depth, half, one = 100_000, LANES // 2, np.float32(1)
    a, b, C = (
        np.full(depth, 0.3, np.float32),
        np.full(depth + half, 0.7, np.float32),
        np.empty(half, np.float32),
    )
    multiply_in_lines(
        TILES, a, 1, depth, b, np.arange(depth), C, half, 1,
        1, half, 0, 0, 0, np.zeros(1, np.float32), False, False,
        one, False, np.empty(SITES_SIZE, np.int64),
    )  # fmt: skip
    exact = depth * float(a[0]) * float(b[0])
    assert np.all(abs(C - exact) <= 5e-6 * exact)
    a, b, C = np.full(depth * LANES, 0.3, np.float32), np.full(depth * LANES, 0.7, np.float32), C[:1]
    steps, taps = np.arange(0, depth * LANES, LANES), np.zeros(DOT_COLUMNS, np.int64)
    multiply_dots(TILES, a, a.size, steps, 1, b, taps, steps, 1, depth, 0, C, 1, False, True)
    assert abs(C[0] - exact * LANES) <= 5e-6 * exact * LANES


def test_a_block_of_rows_is_made_of_whole_tiles():
    assert ROWS % outer_rows() == 0
