"""The transforms of Winograd's algorithms for 3x3 and 5x5 kernels, a vector of tiles or channels at a time.

An algorithm is three matrices. With w the r x r weights of a kernel, d the n x n pixels of a tile and y its
2x2 results (n = r + 1; * multiplies number by number, ' transposes),

    y = A' ((G w G') * (B' d B)) A

has n² products instead of the definition's 4 r²: 16 instead of 36 for 3x3 kernels, 36 instead of 100 for 5x5.
For 3x3 kernels and in one dimension that is

    y0 = (d0 - d2) w0 + (d1 + d2) (w0 + w1 + w2) / 2 + (d2 - d1) (w0 - w1 + w2) / 2
    y1 =                (d1 + d2) (w0 + w1 + w2) / 2 - (d2 - d1) (w0 - w1 + w2) / 2 - (d1 - d3) w2

with 4 products instead of 6. y is linear in w and in d, so the gradients are

    dw = G' ((A dy A') * (B' d B)) G,    dd = B ((G w G') * (A dy A')) B'.

The matrices follow from writing the convolution as a product of polynomials that is found from its values at
n - 1 points and at infinity: at 0, 1, -1 for 3x3 kernels; at 0, ±3/4, ±3/2 for 5x5 ones, which errs half as
much as with 0, ±1, ±2. (F(4x4, 3x3), a quarter of the products, errs four times as much as F(2x2, 3x3).)

References: A. Lavin, S. Gray, Fast algorithms for convolutional neural networks, 2015; for the choice of
points, B. Barabasz, A. Anderson, K. Soodhalter, D. Gregg, Error analysis and improving the accuracy of
Winograd convolution for deep neural networks, 2018.
"""

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.llvm import INT64, llvm_float, target
from pycaffe_lite.kernels.simd.tables import (
    Functions,
    function_table,
    new_function,
    passing_on,
    vector_writer,
)
from pycaffe_lite.kernels.simd.vectors import VectorWriter, join_phi

Matrix: TypeAlias = list[list[Any]]


class Algorithm(NamedTuple):
    """The transforms, as the factors of each of their results."""

    pixels: Matrix  # B', (n, n)
    weights: Matrix  # G, (n, r)
    results: Matrix  # A', (2, n)


def _five(p: float, q: float) -> Algorithm:
    """The algorithm for 5x5 kernels from the points 0, ±p, ±q.

    A row of B' is the product of x - z over all points z but its own, or over all of them for infinity: the
    factors of 1, x, .., x^5. A row of G is 1, x, .., x^4 at the point, divided by that product at the point.
    """
    p2, q2 = p * p, q * q
    at_p, at_q = 2 * p2 * (p2 - q2), 2 * q2 * (q2 - p2)
    points = (0, p2 * q2), (p, at_p), (-p, at_p), (q, at_q), (-q, at_q)
    return Algorithm(
        pixels=[
            [p2 * q2, 0, -p2 - q2, 0, 1, 0],
            [0, -p * q2, -q2, p, 1, 0],
            [0, p * q2, -q2, -p, 1, 0],
            [0, -q * p2, -p2, q, 1, 0],
            [0, q * p2, -p2, -q, 1, 0],
            [0, p2 * q2, 0, -p2 - q2, 0, 1],
        ],
        weights=[*([x**k / product for k in range(5)] for x, product in points), [0, 0, 0, 0, 1]],
        results=[[1, 1, 1, 1, 1, 0], [0, p, -p, q, -q, 1]],
    )


ALGORITHMS = {
    3: Algorithm(
        pixels=[[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
        weights=[[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
        results=[[1, 1, 1, 0], [0, 1, -1, -1]],
    ),
    5: _five(3 / 4, 3 / 2),
}

# How many runs of neighbouring tiles, each in a line, make up a vector of tiles.
RUNS = (1, 2, 4)
WEIGHTS, RESULTS, DY_OF_CHANNELS, SUMS = range(4)
# These, and so on, for each of RUNS:
PIXELS, DY, ADDED, RESULTS_OF_TILES = (SUMS + 1 + i * len(RUNS) for i in range(4))
KINDS = RESULTS_OF_TILES + len(RUNS)


@lru_cache(maxsize=2)
def transform_table(dtype: np.dtype[Any]) -> Array:
    """Addresses of the transforms for one type; see `transform_number`."""
    functions: Functions = {}
    for size in ALGORITHMS:
        for name, kind, writer in (
            ("weights", WEIGHTS, write_weights),
            ("results", RESULTS, write_results),
            ("dy_of_channels", DY_OF_CHANNELS, write_dy_of_channels),
            ("sums", SUMS, write_sums),
        ):
            functions[f"{name}_{size}"] = (transform_number(size, kind), writer, (size,))
    for size, (i, runs) in itertools.product(ALGORITHMS, enumerate(RUNS)):
        if runs <= target().lanes(dtype.itemsize):
            for name, kind, of_runs in (
                ("pixels", PIXELS, write_pixels),
                ("dy", DY, write_dy),
                ("added", ADDED, write_added),
                ("results_of_tiles", RESULTS_OF_TILES, write_results_of_tiles),
            ):
                functions[f"{name}_{size}_{runs}"] = (transform_number(size, kind + i), of_runs, (size, runs))
    return function_table(f"winograd-{dtype.name}", from_dtype(dtype), functions, len(ALGORITHMS) * KINDS)


def transform_number(size: int, kind: int) -> int:
    """Place in the table of a transform for size x size kernels."""
    return list(ALGORITHMS).index(size) * KINDS + kind


def transform_numbers(size: int, one: int, other: int) -> tuple[int, int]:
    """Places of two transforms."""
    return transform_number(size, one), transform_number(size, other)


# ------------------------------------------------------------------------------------------ writing them


def _add_product(w: VectorWriter, factor: float, value: Any, total: Any) -> Any:
    """Factor * value + total, of vectors."""
    if factor == 1:
        return w.builder.fadd(total, value)
    if factor == -1:
        return w.builder.fsub(total, value)
    return w.multiply_add(w.constant(factor), value, total)


def _combined(w: VectorWriter, factors: list[Any], values: list[Any]) -> Any:
    """The sum of factors times vectors; it begins with a vector of factor 1 if there is one."""
    terms = [term for term in zip(factors, values, strict=True) if term[0] != 0]
    terms.sort(key=lambda term: term[0] != 1)
    factor, total = terms[0]
    if factor != 1:
        total = w.builder.fmul(w.constant(factor), total)
    for factor, value in terms[1:]:
        total = _add_product(w, factor, value, total)
    return total


def _transformed(w: VectorWriter, matrix: Matrix, values: list[Any]) -> list[Any]:
    """Matrix times vectors. Rows of points x and -x, which differ in some signs only, share partial sums."""
    results: list[Any] = []
    for i, row in enumerate(matrix):
        if len(results) > i:
            continue
        other = matrix[i + 1] if i + 1 < len(matrix) else row
        if row == other or any(abs(a) != abs(b) for a, b in zip(row, other, strict=True)):
            results.append(_combined(w, row, values))
            continue
        pairs = list(zip(row, other, strict=True))
        scale = next(a for a, b in reversed(pairs) if a != b)
        same = _combined(w, [a if a == b else 0 for a, b in pairs], values)
        opposite = _combined(w, [a / scale if a != b else 0 for a, b in pairs], values)
        results += [_add_product(w, sign * scale, opposite, same) for sign in (1, -1)]
    return results


def _transposed(square: Matrix) -> Matrix:
    return [list(row) for row in zip(*square, strict=True)]


def _both_sides(w: VectorWriter, matrix: Matrix, square: Matrix) -> Matrix:
    """Matrix times square times the transpose of matrix; square's numbers are vectors."""
    for _side in range(2):
        columns = _transposed(square)
        square = [_transformed(w, matrix, column) for column in columns]
    return square


def _repeat(builder: Any, count: Any, steps: list[tuple[Any, Any]], body: Callable[..., None]) -> None:
    """Write body(first, second, ..) `count` times, 1 or more, and the return from the function.

    steps: of each pointer that is passed on, where it begins and how many elements it moves on each time.
    """
    entry, loop, done = builder.basic_block, *map(builder.append_basic_block, ("loop", "done"))
    builder.branch(loop)
    builder.position_at_end(loop)
    left = builder.phi(INT64)
    places = [builder.phi(start.type) for start, _ in steps]
    body(*places)
    fewer, last = builder.sub(left, INT64(1)), builder.basic_block
    join_phi(left, (count, entry), (fewer, last))
    for place, (start, step) in zip(places, steps, strict=True):
        join_phi(place, (start, entry), (builder.gep(place, [step]), last))
    builder.cbranch(builder.icmp_signed(">", fewer, INT64(0)), loop, done)
    builder.position_at_end(done)
    builder.ret_void()


def _spread_out(w: VectorWriter, pointer: Any, first: Any, second: Any, rows: int, columns: int) -> Matrix:
    """Vectors loaded from pointer[i * first + j * second], i < rows, j < columns."""
    builder = w.builder
    lines = [w.at(pointer, builder.mul(first, INT64(i))) for i in range(rows)]
    return [[w.load(w.at(line, builder.mul(second, INT64(j)))) for j in range(columns)] for line in lines]


def _put_places(w: VectorWriter, square: Matrix, pointer: Any, place_stride: Any) -> None:
    """Store vectors at pointer[ξ * place_stride], ξ = 0, 1, .. row by row."""
    for place, value in enumerate(itertools.chain(*square)):
        w.store(value, w.at(pointer, w.builder.mul(place_stride, INT64(place))))


def weights_arguments(dtype: Any) -> list[Any]:
    """count, a, stride, out, place_stride."""
    pointer = llvm_float(dtype).as_pointer()
    return [INT64, pointer, INT64, pointer, INT64]


def write_weights(module: Any, name: str, dtype: Any, size: int) -> None:
    """Add the function of `transform_weights`."""
    function, builder = new_function(module, name, weights_arguments(dtype))
    count, a, stride, out, place_stride = function.args
    w = vector_writer(builder, dtype)

    def one(a: Any, out: Any) -> None:
        kernel = _spread_out(w, a, builder.mul(stride, INT64(size)), stride, size, size)
        _put_places(w, _both_sides(w, ALGORITHMS[size].weights, kernel), out, place_stride)

    _repeat(builder, count, [(a, builder.mul(stride, INT64(size * size))), (out, stride)], one)


def tiles_arguments(dtype: Any) -> list[Any]:
    """count, starts, x, line, out, vector_stride, place_stride."""
    pointer = llvm_float(dtype).as_pointer()
    return [INT64, INT64.as_pointer(), pointer, INT64, pointer, INT64, INT64]


def write_pixels(module: Any, name: str, dtype: Any, size: int, runs: int) -> None:
    """Add the function of `transform_tiles` for pixels and vectors made of so many runs."""
    _write_tiles(module, name, dtype, ALGORITHMS[size].pixels, runs)


def write_dy(module: Any, name: str, dtype: Any, size: int, runs: int) -> None:
    """Add the function of `transform_tiles` for tiles of dy."""
    _write_tiles(module, name, dtype, _transposed(ALGORITHMS[size].results), runs)


def _write_tiles(module: Any, name: str, dtype: Any, matrix: Matrix, runs: int) -> None:
    function, builder = new_function(module, name, tiles_arguments(dtype))
    count, starts, x, line, out, vector_stride, place_stride = function.args
    w = vector_writer(builder, dtype)
    across = len(matrix[0])

    def one(starts: Any, out: Any) -> None:
        of_run = [w.at(x, builder.load(builder.gep(starts, [INT64(run)]))) for run in range(runs)]
        if runs == 1:
            of_run.append(w.at(of_run[0], w.lanes))
        halves = of_run[: len(of_run) // 2], of_run[len(of_run) // 2 :]  # of the tiles
        square = []
        for i in range(across):
            row, below = [], builder.mul(line, INT64(i))
            for j in range(0, across, 2):
                a, b = (w.load_runs([w.at(w.at(run, below), j) for run in half]) for half in halves)
                row += [w.every_second(a, b, first) for first in (0, 1)]
            square.append(row)
        _put_places(w, _both_sides(w, matrix, square), out, place_stride)

    _repeat(builder, count, [(starts, INT64(runs)), (out, vector_stride)], one)


def results_arguments(dtype: Any) -> list[Any]:
    """count, a, tile_stride, place_stride, scale, start, lanes, slope, out, column_stride, row_stride."""
    scalar = llvm_float(dtype)
    pointer = scalar.as_pointer()
    return [INT64, pointer, INT64, INT64, pointer, pointer, INT64, scalar, pointer, INT64, INT64]


def write_results(module: Any, name: str, dtype: Any, size: int) -> None:
    """Add the function of `transform_results`."""
    function, builder = new_function(module, name, results_arguments(dtype))
    count, a, tile_stride, place_stride, scale, start, lanes, slope, out, column_stride, row_stride = (
        function.args
    )
    w = vector_writer(builder, dtype)
    mask = w.first_lanes(lanes)
    factor, shift, slopes = w.load_first(scale, mask), w.load_first(start, mask), w.splat(slope)
    n = size + 1

    def one(a: Any, out: Any) -> None:
        products = _spread_out(w, a, builder.mul(place_stride, INT64(n)), place_stride, n, n)
        for i, row in enumerate(_both_sides(w, ALGORITHMS[size].results, products)):
            for j, value in enumerate(row):
                line = w.at(out, builder.mul(row_stride, INT64(i)))
                pixel = w.at(line, builder.mul(column_stride, INT64(j)))
                w.store(_activated(w, factor, value, shift, slopes), pixel)

    _repeat(builder, count, [(a, tile_stride), (out, builder.mul(column_stride, INT64(2)))], one)


def results_of_tiles_arguments(dtype: Any) -> list[Any]:
    """count, a, place_stride, scale, start, slope, starts, out, line."""
    scalar = llvm_float(dtype)
    pointer = scalar.as_pointer()
    return [INT64, pointer, INT64, pointer, pointer, scalar, INT64.as_pointer(), pointer, INT64]


def write_results_of_tiles(module: Any, name: str, dtype: Any, size: int, runs: int) -> None:
    """Add the function of `transform_results_of_tiles` for vectors made of so many runs."""
    function, builder = new_function(module, name, results_of_tiles_arguments(dtype))
    count, a, place_stride, scale, start, slope, starts, out, line = function.args
    w = vector_writer(builder, dtype)
    factor, shift, slopes = (w.splat(value) for value in (builder.load(scale), builder.load(start), slope))
    n, run = size + 1, w.lanes // runs

    def one(a: Any, starts: Any) -> None:
        products = _spread_out(w, a, builder.mul(place_stride, INT64(n)), place_stride, n, n)
        of_run = [w.at(out, builder.load(builder.gep(starts, [INT64(i)]))) for i in range(runs)]
        for i, row in enumerate(_both_sides(w, ALGORITHMS[size].results, products)):
            left, right = (_activated(w, factor, value, shift, slopes) for value in row)
            for number, place in enumerate(of_run):
                pixels = w.at(place, builder.mul(line, INT64(i)))
                for first in range(0, run, max(1, w.lanes // 2)):
                    tiles = range(number * run + first, number * run + min(run, first + max(1, w.lanes // 2)))
                    lanes = [tile + side * w.lanes for tile in tiles for side in (0, 1)]
                    w.store(w.shuffle(left, right, lanes), w.at(pixels, 2 * first))

    _repeat(builder, count, [(a, INT64(w.lanes)), (starts, INT64(runs))], one)


def _activated(w: VectorWriter, factor: Any, value: Any, shift: Any, slopes: Any) -> Any:
    """The sum factor * value + shift, times slopes where that is not positive."""
    total = w.multiply_add(factor, value, shift)
    positive = w.builder.fcmp_ordered(">", total, w.zero())
    return w.builder.select(positive, total, w.builder.fmul(slopes, total))


def dy_of_channels_arguments(dtype: Any) -> list[Any]:
    """count, dy, line, column, below, right, out, tile_stride, place_stride."""
    pointer, flag = llvm_float(dtype).as_pointer(), ir.IntType(1)
    return [INT64, pointer, INT64, INT64, flag, flag, pointer, INT64, INT64]


def write_dy_of_channels(module: Any, name: str, dtype: Any, size: int) -> None:
    """Add the function of `transform_dy_of_channels`."""
    function, builder = new_function(module, name, dy_of_channels_arguments(dtype))
    count, dy, line, column, below, right, out, tile_stride, place_stride = function.args
    w = vector_writer(builder, dtype)

    def one(dy: Any, out: Any) -> None:
        square = []
        for i in range(2):
            row = []
            for j in range(2):
                there = builder.and_(below if i else ir.IntType(1)(1), right if j else ir.IntType(1)(1))
                place = builder.add(builder.mul(line, INT64(i)), builder.mul(column, INT64(j)))
                value = w.load(w.at(dy, builder.select(there, place, INT64(0))))
                row.append(builder.select(there, value, w.zero()))
            square.append(row)
        _put_places(w, _both_sides(w, _transposed(ALGORITHMS[size].results), square), out, place_stride)

    _repeat(builder, count, [(dy, builder.mul(column, INT64(2))), (out, tile_stride)], one)


def sums_arguments(dtype: Any) -> list[Any]:
    """count, a, place_stride, out, stride."""
    pointer = llvm_float(dtype).as_pointer()
    return [INT64, pointer, INT64, pointer, INT64]


def write_sums(module: Any, name: str, dtype: Any, size: int) -> None:
    """Add the function of `transform_sums`."""
    function, builder = new_function(module, name, sums_arguments(dtype))
    count, a, place_stride, out, stride = function.args
    w = vector_writer(builder, dtype)
    n = size + 1

    def one(a: Any, out: Any) -> None:
        sums = _spread_out(w, a, builder.mul(place_stride, INT64(n)), place_stride, n, n)
        _put_places(w, _both_sides(w, _transposed(ALGORITHMS[size].weights), sums), out, stride)

    _repeat(builder, count, [(a, INT64(w.lanes)), (out, INT64(w.lanes))], one)


def added_arguments(dtype: Any) -> list[Any]:
    """count, a, place_stride, starts, out, line."""
    pointer = llvm_float(dtype).as_pointer()
    return [INT64, pointer, INT64, INT64.as_pointer(), pointer, INT64]


def write_added(module: Any, name: str, dtype: Any, size: int, runs: int) -> None:
    """Add the function of `transform_added` for vectors made of so many runs."""
    function, builder = new_function(module, name, added_arguments(dtype))
    count, a, place_stride, starts, out, line = function.args
    w = vector_writer(builder, dtype)
    n, run = size + 1, w.lanes // runs

    def one(a: Any, starts: Any) -> None:
        products = _spread_out(w, a, builder.mul(place_stride, INT64(n)), place_stride, n, n)
        of_run = [w.at(out, builder.load(builder.gep(starts, [INT64(i)]))) for i in range(runs)]
        for i, row in enumerate(_both_sides(w, _transposed(ALGORITHMS[size].pixels), products)):
            for number, place in enumerate(of_run):
                pixels = w.at(place, builder.mul(line, INT64(i)))
                # 2 run + n - 2 neighbours, vector by vector
                for first in range(0, 2 * run + n - 2, w.lanes):
                    at = w.at(pixels, first)
                    w.store(_add_overlapping(w, row, number * run, run, first, w.load(at)), at)

    _repeat(builder, count, [(a, INT64(w.lanes)), (starts, INT64(runs))], one)


def _add_overlapping(
    w: VectorWriter, row: list[Any], first_tile: int, run: int, first: int, total: Any
) -> Any:
    """Add what neighbouring tiles give for a line of pixels to a vector of them, from pixel `first` on.

    row[j]: of all tiles, lane by lane, their number j; tile t of the run gives it for pixel 2 t + j.
    """
    for j in range(0, len(row), 2):
        pixels = [first + lane - j for lane in range(w.lanes)]
        there = [0 <= pixel < 2 * run for pixel in pixels]
        lanes = [
            first_tile + p // 2 + p % 2 * w.lanes if yes else 0 for p, yes in zip(pixels, there, strict=True)
        ]
        if any(there):
            value = w.shuffle(row[j], row[j + 1], lanes)
            total = w.builder.select(w.mask(there), w.builder.fadd(total, value), total)
    return total


# ------------------------------------------------------------------------------------------ calling them


@intrinsic
def transform_weights(
    _context: Any, table: Any, number: Any, count: Any, a: Any, ao: Any, stride: Any, out: Any, to: Any,
    place_stride: Any,
) -> Any:  # fmt: skip
    """out[to + c * stride + ξ * place_stride + l] = (G w[c] G')[ξ], c < count, for each lane l.

    w[c][t] = a[ao + (c * size * size + t) * stride + l]. For these and the other transforms, table:
    `transform_table`; number: `transform_number`; count: 1 or more.
    """
    n = types.intp
    return types.void(table, n, n, a, n, n, out, n, n), passing_on(weights_arguments(a.dtype))


@intrinsic
def transform_tiles(
    _context: Any, table: Any, number: Any, count: Any, starts: Any, first: Any, x: Any, xo: Any, line: Any,
    out: Any, to: Any, vector_stride: Any, place_stride: Any,
) -> Any:  # fmt: skip
    """out[to + v * vector_stride + ξ * place_stride + l] = (B' d B)[ξ] for vector v < count of tiles, lane l.

    A vector's tiles are RUNS[i] runs of neighbours; run s starts at xo + starts[first + v * RUNS[i] + s]. The
    tile t places after it has d[i, j] = x[start + i * line + 2 t + j]. The number's kind is PIXELS + i or,
    for A d A' with 2x2 numbers d, DY + i.
    """
    n = types.intp
    signature = types.void(table, n, n, starts, n, x, n, n, out, n, n, n)
    return signature, passing_on(tiles_arguments(x.dtype))


@intrinsic
def transform_results(
    _context: Any, table: Any, number: Any, count: Any, a: Any, ao: Any, tile_stride: Any, place_stride: Any,
    scale: Any, so: Any, start: Any, bo: Any, lanes: Any, slope: Any, out: Any, to: Any, column_stride: Any,
    row_stride: Any,
) -> Any:  # fmt: skip
    """out[to + i * row_stride + (2 t + j) * column_stride + l] = act(scale[so + l] y[i, j] + start[bo + l]).

    For tile t < count, lane l: y = A' p A, p[ξ] = a[ao + t * tile_stride + ξ * place_stride + l];
    act(v) = v if v > 0 else slope * v. lanes: how many of scale and start are there.
    """
    n = types.intp
    signature = types.void(
        table, n, n, a, n, n, n, scale, n, start, n, n, a.dtype, out, n, n, n
    )  # fmt: skip
    return signature, passing_on(results_arguments(a.dtype))


@intrinsic
def transform_results_of_tiles(
    _context: Any, table: Any, number: Any, count: Any, a: Any, ao: Any, place_stride: Any, scale: Any,
    so: Any, start: Any, bo: Any, slope: Any, starts: Any, first: Any, out: Any, to: Any, line: Any,
) -> Any:  # fmt: skip
    """out[to + start + i * line + 2 t + j] = act(scale[so] y[i, j] + start[bo]) for all tiles of vectors.

    Of vector v < count, lane l: y = A' p A, p[ξ] = a[ao + v * lanes + ξ * place_stride + l]; act: as for
    `transform_results`. Tiles and their runs, which start at to + starts[..] here: as for `transform_tiles`,
    with RESULTS_OF_TILES + i.
    """
    n = types.intp
    signature = types.void(
        table, n, n, a, n, n, scale, n, start, n, a.dtype, starts, n, out, n, n
    )  # fmt: skip
    return signature, passing_on(results_of_tiles_arguments(a.dtype))


@intrinsic
def transform_dy_of_channels(
    _context: Any, table: Any, number: Any, count: Any, dy: Any, do: Any, line: Any, column: Any, below: Any,
    right: Any, out: Any, to: Any, tile_stride: Any, place_stride: Any,
) -> Any:  # fmt: skip
    """out[to + t * tile_stride + ξ * place_stride + l] = (A g A')[ξ] for tile t < count, lane l.

    g[i, j] = dy[do + i * line + (2 t + j) * column + l], but 0 for i = 1 unless `below`, for j = 1 unless
    `right`.
    """
    n, flag = types.intp, types.boolean
    signature = types.void(table, n, n, dy, n, n, n, flag, flag, out, n, n, n)
    return signature, passing_on(dy_of_channels_arguments(dy.dtype))


@intrinsic
def transform_sums(
    _context: Any, table: Any, number: Any, count: Any, a: Any, ao: Any, place_stride: Any, out: Any, to: Any,
    stride: Any,
) -> Any:  # fmt: skip
    """out[to + v * lanes + k * stride + l] = (G' s G)[k] for vector v < count, lane l.

    s[ξ] = a[ao + v * lanes + ξ * place_stride + l].
    """
    n = types.intp
    return types.void(table, n, n, a, n, n, out, n, n), passing_on(sums_arguments(a.dtype))


@intrinsic
def transform_added(
    _context: Any, table: Any, number: Any, count: Any, a: Any, ao: Any, place_stride: Any, starts: Any,
    first: Any, out: Any, to: Any, line: Any,
) -> Any:  # fmt: skip
    """out[to + start + i * line + 2 t + j] += (B p B')[i, j] for all tiles of vectors v < count.

    p[ξ] = a[ao + v * lanes + ξ * place_stride + l] for lane l. Tiles and their runs, which start at
    to + starts[..] here: as for `transform_tiles`, with ADDED + i. Neighbouring tiles overlap: they are added
    vector by vector, line by line of a vector's tiles. Up to a vector behind the pixels of a line is read and
    written as it is.
    """
    n = types.intp
    signature = types.void(table, n, n, a, n, n, starts, n, out, n, n)
    return signature, passing_on(added_arguments(a.dtype))
