"""The micro-kernels: tiles of matrix products, kept in vector registers for the whole inner loop.

A matrix product does M·N·K multiplications on M·K + K·N numbers, so it can run at the speed of the
multipliers if every number that is loaded is used many times. The innermost loop keeps a small tile of the
result in registers and, in each step, loads a few numbers and uses each of them in many products:

outer tile (C = A B, vectors along the columns of C)

    per k:  C[i, :] += A[i, k] * B[k, :]    rows x 2 vectors of sums; loads: 2 vectors of B, and each of
                                            `rows` numbers of A spread over all lanes.
    12 rows x 2 vectors fill 24 of AVX-512's 32 registers; 6 x 2 fill 12 of AVX2's or SSE's 16. Twelve
    independent sums also hide the latency of a multiply-add (4 cycles, two started per cycle).
    The rows of a matrix are shared out evenly (`tile_count`): 50 rows make 5 tiles of 10, and none is padded.

pick tile (C = A B, vectors along the columns of C)

    Like the outer tile, but the numbers of A may lie anywhere, for instance in an image, while B is packed.
    It has 10 rows x 2 vectors, with 12 loads for 20 products, or 8 rows x 3 vectors, with 11 loads for 24.

line tile (one row of an outer product)

    For depthwise convolutions of any kind: a channel's weights times shifted lines, four vectors at a time.

slide tile (a depthwise convolution with a small square kernel)

    It is one vector wide and slides down the lines. The kernel's weights and the unfinished sums of some
    lines of results stay in registers, and every line of the image is loaded once for all of them. A spread
    tile copies the lines to where they are read.

dot tile (C = A Bᵀ, vectors along k)

    per vector of k:  C[i, j] += A[i, k..] * B[j, k..]   lane by lane; the lanes are added up at the end.
    Neither matrix needs rearranging. It is for long k: inner products, gradients of weights.

stream tile (C += A B for a few rows of B)

    For a wide strip of few rows: C stays in the caches and two vectors of each row of B in registers, while B
    is read once from memory.

Convolutions need no copy of the image, because the tiles find their vectors through small tables. An outer
tile finds row k of B at `taps[k]` from where its columns start, and its columns may be 2 vectors or 4 half
vectors that start anywhere (`sites`), such as pieces of different rows of an image. A dot tile goes through
the vectors of A, and the vectors or pairs of half vectors of B, that two tables list.

Each variant is a function of its own. They are compiled once for each type, apart from Numba (`tile_table`),
and kernels call them by their addresses: compiled into every kernel that uses them, they would take most of a
cold start. All sums are kept in the arrays' type.
"""

import itertools
from functools import lru_cache
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from pycaffe_lite.kernels.runtime.decorators import Array, kernel
from pycaffe_lite.kernels.runtime.llvm import INT64
from pycaffe_lite.kernels.simd.microkernels import (
    DOT_COLUMNS,
    FOUR_HALVES,
    LINE_VECTORS,
    MOST_SITES,
    ONE_VECTOR,
    SHAPES,
    SLIDE_SIZES,
    SLIDE_STRIDES,
    STREAM_ROWS,
    TWO_VECTORS,
    WIDE_PICK,
    dot_arguments,
    dot_rows,
    line_arguments,
    outer_arguments,
    outer_rows,
    pick_arguments,
    pick_rows,
    slide_arguments,
    spread_arguments,
    stream_arguments,
    write_dot,
    write_line,
    write_outer,
    write_pick,
    write_slide,
    write_spread,
    write_stream,
)
from pycaffe_lite.kernels.simd.tables import Functions, call_entry, function_table, passing_on
from pycaffe_lite.kernels.simd.vectors import data_pointer

__all__ = [
    "DOT_COLUMNS", "FOUR_HALVES", "LINE_VECTORS", "MOST_SITES", "ONE_VECTOR", "SLIDE_SIZES",
    "SLIDE_STRIDES", "STREAM_ROWS", "TWO_VECTORS", "WIDE_PICK", "dot_tile", "line_tile", "max_dot_rows",
    "max_outer_rows", "max_pick_rows", "outer_tile", "panel_start", "panel_width", "pick_tile",
    "slide_number", "slide_tile", "spread_tile", "stream_tile", "tile_count", "tile_table",
]  # fmt: skip

# Indices into the table, which has room for tiles of up to 12 rows.
FIRST_PICK = 13 * SHAPES
FIRST_DOT = FIRST_PICK + 13 * WIDE_PICK
LINE = FIRST_DOT + 6 * 2
FIRST_SLIDE = LINE + 1
FIRST_SPREAD = FIRST_SLIDE + len(SLIDE_SIZES) * len(SLIDE_STRIDES)
FIRST_STREAM = FIRST_SPREAD + len(SLIDE_STRIDES) - 1
TABLE_SIZE = FIRST_STREAM + STREAM_ROWS + 1


@lru_cache(maxsize=2)
def tile_table(dtype: np.dtype[Any]) -> Array:
    """Return the addresses of the tiles' functions for one type, which the tiles below get as `tiles`."""
    numba_type = from_dtype(dtype)
    rows = range(1, outer_rows() + 1)
    functions: Functions = {"line": (LINE, write_line, ())}
    for size in itertools.product(rows, range(SHAPES)):
        functions["outer_{}_{}".format(*size)] = (size[0] * SHAPES + size[1], write_outer, size)
    for vectors in range(1, WIDE_PICK + 1):
        for count in range(1, pick_rows(vectors) + 1):
            number = FIRST_PICK + count * WIDE_PICK + vectors - 1
            functions[f"pick_{count}_{vectors}"] = (number, write_pick, (count, vectors))
    for size in itertools.product(range(1, dot_rows() + 1), (0, 1)):
        functions["dot_{}_{}".format(*size)] = (FIRST_DOT + size[0] * 2 + size[1], write_dot, size)
    for size in itertools.product(SLIDE_SIZES, SLIDE_STRIDES):
        functions["slide_{}_{}".format(*size)] = (slide_number(*size), write_slide, size)
    for depth in range(1, STREAM_ROWS + 1):
        functions[f"stream_{depth}"] = (FIRST_STREAM + depth, write_stream, (depth,))
    for number, stride in enumerate(SLIDE_STRIDES):
        functions[f"spread_{stride}"] = (FIRST_SPREAD + number, write_spread, (stride,))

    return function_table(f"tiles-{dtype.name}", numba_type, functions, TABLE_SIZE)


def slide_number(size: int, stride: int) -> int:
    """Return the table's index of the slide tile for size x size kernels whose lines step by `stride`."""
    return FIRST_SLIDE + SLIDE_SIZES.index(size) * len(SLIDE_STRIDES) + SLIDE_STRIDES.index(stride)


@intrinsic
def _outer(_context: Any, tiles: Any, number: Any, depth: Any, a: Any, ao: Any, b: Any, bo: Any,
           taps: Any, to: Any, c: Any, co: Any, ldc: Any, sites: Any, start: Any, so: Any,
           accumulate: Any, activate: Any, slope: Any, bypass: Any) -> Any:  # fmt: skip
    """Call an outer tile's function, with a pointer for each array and the offset of its first element."""
    n, flag = types.intp, types.boolean
    signature = types.void(
        tiles, n, n, a, n, b, n, taps, n, c, n, n, sites, start, n, flag, flag, a.dtype, flag
    )  # fmt: skip

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pointer(position: int, offset: Any) -> Any:
            return data_pointer(context, builder, signature.args[position], args[position], offset)

        zero = INT64(0)
        call = [
            args[2],
            pointer(3, args[4]),
            pointer(5, args[6]),
            pointer(7, args[8]),
            pointer(9, args[10]),
            args[11],
        ]
        call += [pointer(12, zero), pointer(13, args[14]), *args[15:]]
        call_entry(builder, pointer(0, zero), args[1], outer_arguments(a.dtype), call)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _dot(_context: Any, tiles: Any, number: Any, columns: Any, whole: Any, rest: Any, a: Any, ao: Any,
         lda: Any, a_steps: Any, at: Any, b: Any, bo: Any, taps: Any, to: Any, b_steps: Any, bt: Any, c: Any,
         co: Any, ldc: Any, accumulate: Any, ahead: Any) -> Any:  # fmt: skip
    """Call a dot tile's function, with a pointer for each array and the offset of its first element."""
    n = types.intp
    signature = types.void(
        tiles, n, n, n, n, a, n, n, a_steps, n, b, n, taps, n, b_steps, n, c, n, n, types.boolean, n
    )  # fmt: skip

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pointer(position: int, offset: Any) -> Any:
            return data_pointer(context, builder, signature.args[position], args[position], offset)

        zero = INT64(0)
        call = [
            *args[2:5],
            pointer(5, args[6]),
            args[7],
            pointer(8, args[9]),
            pointer(10, args[11]),
            pointer(12, args[13]),
        ]
        call += [pointer(14, args[15]), pointer(16, args[17]), *args[18:]]
        call_entry(builder, pointer(0, zero), args[1], dot_arguments(a.dtype), call)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _pick(_context: Any, tiles: Any, number: Any, depth: Any, a: Any, ao: Any, rows_at: Any, ro: Any,
          depth_at: Any, do: Any, b: Any, bo: Any, ldb: Any, c: Any, co: Any, ldc: Any,
          accumulate: Any, ahead: Any, _b: Any, following: Any, count: Any) -> Any:  # fmt: skip
    """Call a pick tile's function, with a pointer for each array and the offset of its first element."""
    n = types.intp
    signature = types.void(
        tiles, n, n, a, n, rows_at, n, depth_at, n, b, n, n, c, n, n, types.boolean, n, b, n, n
    )  # fmt: skip
    return signature, passing_on(pick_arguments(a.dtype))


@intrinsic
def _stream(_context: Any, tiles: Any, number: Any, columns: Any, rows: Any, a: Any, ao: Any, b: Any,
            bo: Any, ldb: Any, c: Any, co: Any) -> Any:  # fmt: skip
    """Call a stream tile's function, with a pointer for each array and the offset of its first element."""
    n = types.intp
    signature = types.void(tiles, n, n, n, a, n, b, n, n, c, n)
    return signature, passing_on(stream_arguments(a.dtype))


@intrinsic
def line_tile(_context: Any, tiles: Any, sites: Any, count: Any, depth: Any, a: Any, ao: Any, b: Any, bo: Any,
              taps: Any, c: Any, co: Any, start: Any, activate: Any, slope: Any) -> Any:  # fmt: skip
    """C[s, l] = act(start + sum over k < depth of a[ao + k] B[k, s, l]) for s < count.

    Run s starts at b[bo + sites[s, 0]] and at c[co + sites[s, 1]], and has sites[s, 2] numbers, at most a
    vector. With l < sites[s, 2],
    B[k, s, l] = b[bo + sites[s, 0] + taps[k] + l], C[s, l] = c[co + sites[s, 1] + l].
    b is read in whole vectors. Runs are taken LINE_VECTORS at a time, so sites has rows up to a multiple of
    that, which may repeat others. act and slope are those of `outer_tile`;
    tiles: `tile_table`.
    """
    n = types.intp
    signature = types.void(
        tiles, sites, n, n, a, n, b, n, taps, c, n, a.dtype, types.boolean, a.dtype
    )  # fmt: skip

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pointer(position: int, offset: Any) -> Any:
            return data_pointer(context, builder, signature.args[position], args[position], offset)

        zero = INT64(0)
        call = [pointer(1, zero), *args[2:4], pointer(4, args[5]), pointer(6, args[7]), pointer(8, zero)]
        call += [pointer(9, args[10]), *args[11:]]
        call_entry(builder, pointer(0, zero), INT64(LINE), line_arguments(a.dtype), call)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def slide_tile(_context: Any, tiles: Any, number: Any, lines: Any, a: Any, ao: Any, b: Any, bo: Any,
               line: Any, taps: Any, c: Any, co: Any, ldc: Any, count: Any, start: Any,
               slope: Any) -> Any:  # fmt: skip
    """C[p, l] = act(start + sum over i, j < size of a[ao + i * size + j] B[p * stride + i, j, l]), p < lines.

    size and stride are those of the tile's `number`, see `slide_number`. With l < count, at most a vector,
    B[u, j, l] = b[bo + u * line + taps[j] + l], C[p, l] = c[co + p * ldc + l].
    b is read in whole vectors. act(v) = v if v > 0 else slope * v; lines: 1 or more; tiles: `tile_table`.
    """
    n = types.intp
    signature = types.void(tiles, n, n, a, n, b, n, n, taps, c, n, n, n, a.dtype, a.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pointer(position: int, offset: Any) -> Any:
            return data_pointer(context, builder, signature.args[position], args[position], offset)

        zero = INT64(0)
        call = [args[2], pointer(3, args[4]), pointer(5, args[6]), args[7], pointer(8, zero)]
        call += [pointer(9, args[10]), *args[11:]]
        call_entry(builder, pointer(0, zero), args[1], slide_arguments(a.dtype), call)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _spread(_context: Any, tiles: Any, number: Any, lines: Any, x: Any, xo: Any, width: Any, out: Any,
            oo: Any, line: Any, run: Any, first: Any) -> Any:  # fmt: skip
    """Call a spread tile's function, with a pointer for each array and the offset of its first element."""
    n = types.intp
    signature = types.void(tiles, n, n, x, n, n, out, n, n, n, n)
    return signature, passing_on(spread_arguments(x.dtype))


@kernel(inline="always")  # it only numbers the variant, which takes less time than a call
def outer_tile(
    tiles: Array, rows: int, shape: int, depth: int, a: Array, ao: int, b: Array, bo: int,
    taps: Array, to: int, c: Array, co: int, ldc: int, sites: Array, start: Array, so: int,
    accumulate: bool, activate: bool, slope: float, bypass: bool,
) -> None:  # fmt: skip
    """C[i, j] = act(first[i, j] + sum over k < depth of A[i, k] B[k, j]), i < rows.

    The columns are runs: one or two vectors, or four half vectors, as `shape` says. Run s starts at sites[s]
    in B and at sites[MOST_SITES + s] in C. Arrays are contiguous, and each is followed by the offset of its
    first element. With l the number of a column in its run,
    A[i, k] = a[ao + k * rows + i], B[k, s l] = b[bo + sites[s] + taps[to + k] + l],
    C[i, s l] = c[co + sites[MOST_SITES + s] + i * ldc + l].
    first[i, j] is C[i, j] if `accumulate`, else start[so + i]. act(v) is v unless `activate`, else
    v if v > 0 else slope * v. tiles: `tile_table`; rows: 1 to max_outer_rows(); depth: 1 or more.
    bypass: whether C is too large for the caches, so that its cache lines are written without reading them.
    """
    number = rows * SHAPES + shape
    _outer(
        tiles, number, depth, a, ao, b, bo, taps, to, c, co, ldc, sites, start, so,
        accumulate, activate, slope, bypass,
    )  # fmt: skip


@kernel(inline="always")  # for the same reason as `outer_tile`
def dot_tile(
    tiles: Array, rows: int, columns: int, halves: bool, whole: int, rest: int, a: Array, ao: int, lda: int,
    a_steps: Array, step: int, b: Array, bo: int, taps: Array, to: int, b_steps: Array, c: Array, co: int,
    ldc: int, accumulate: bool, ahead: int,
) -> None:  # fmt: skip
    """C[i, j] = (C[i, j] if accumulate else 0) + sum over steps and lanes of A[i, ..] B[j, ..].

    Step t takes a vector of each row of A and of B, at a[ao + i * lda + a_steps[t]] and
    b[bo + taps[to + j] + b_steps[t]]. With `halves`, it takes two halves of B, at entries 2 t and 2 t + 1 of
    b_steps. There are `whole` steps, from number `step` on. If `rest` is not 0, one more step takes the first
    `rest` lanes of its vectors; this is not for halves.
    C[i, j] = c[co + i * ldc + j]; i < rows (1 to max_dot_rows()), j < columns (1 to 4). tiles: `tile_table`.
    ahead: the distance from B's numbers to those that are to be prefetched; 0 for none.
    """
    number = FIRST_DOT + rows * 2 + halves
    _dot(
        tiles,
        number,
        columns,
        whole,
        rest,
        a,
        ao,
        lda,
        a_steps,
        step,
        b,
        bo,
        taps,
        to,
        b_steps,
        2 * step if halves else step,
        c,
        co,
        ldc,
        accumulate,
        ahead,
    )


@kernel(inline="always")  # for the same reason as `outer_tile`
def pick_tile(
    tiles: Array, rows: int, vectors: int, depth: int, a: Array, ao: int, rows_at: Array, ro: int,
    depth_at: Array, do: int, b: Array, bo: int, ldb: int, c: Array, co: int, ldc: int, accumulate: bool,
    ahead: int, following: int, count: int,
) -> None:  # fmt: skip
    """C[i, j] = (C[i, j] if accumulate else 0) + sum over k < depth of A[i, k] B[k, j].

    A[i, k] = a[ao + rows_at[ro + i] + depth_at[do + k]], B[k, j] = b[bo + k * ldb + j],
    C[i, j] = c[co + i * ldc + j] for i < rows (1 to max_pick_rows(vectors)) and j < the width of 1 to 3
    `vectors`. tiles: `tile_table`; depth: 1 or more. ahead: the distance from A's numbers to those that are
    to be prefetched, if A's numbers lie side by side along k; 0 for none. following: where in b the numbers
    begin that will be needed after these. In as many steps as a vector has lanes, `count` vectors of them are
    prefetched.
    """
    number = FIRST_PICK + rows * WIDE_PICK + vectors - 1
    _pick(
        tiles, number, depth, a, ao, rows_at, ro, depth_at, do, b, bo, ldb, c, co, ldc, accumulate, ahead,
        b, following, count,
    )  # fmt: skip


@kernel(inline="always")  # for the same reason as `outer_tile`
def stream_tile(
    tiles: Array, depth: int, columns: int, rows: int, a: Array, ao: int, b: Array, bo: int, ldb: int,
    c: Array, co: int,
) -> None:  # fmt: skip
    """C[i, j] += sum over k < depth of A[i, k] B[k, j] for i < rows, j < columns.

    A[i, k] = a[ao + i * depth + k], B[k, j] = b[bo + k * ldb + j]. C is stored in panels of two vectors of
    columns, with room for a whole last one: C[i, p * panel + l] = c[co + (p * rows + i) * panel + l].
    tiles: `tile_table`; depth: 1 to STREAM_ROWS.
    """
    _stream(tiles, FIRST_STREAM + depth, columns, rows, a, ao, b, bo, ldb, c, co)


@kernel(inline="always")  # for the same reason as `outer_tile`
def spread_tile(
    tiles: Array, stride: int, lines: int, x: Array, xo: int, width: int, out: Array, oo: int, line: int,
    run: int, first: int,
) -> None:  # fmt: skip
    """out[oo + h * line + u % stride * run + u // stride] = x[xo + h * width + w], u = first + w, w < width.

    This is for h < lines (1 or more) and stride 1 or 2. Reads nothing else. Writes at least a vector to each
    run, with zeros after the numbers of a shorter line. tiles: `tile_table`.
    """
    _spread(tiles, FIRST_SPREAD + stride - 1, lines, x, xo, width, out, oo, line, run, first)


@intrinsic
def max_outer_rows(_context: Any) -> Any:
    """Return how many rows the tallest outer tile has, a constant of the compiled code."""
    return types.intp(), lambda *_: INT64(outer_rows())


@intrinsic
def max_pick_rows(_context: Any, vectors: Any) -> Any:
    """Return how many rows the tallest pick tile has with so many vectors of columns."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        wide = builder.icmp_signed("==", args[0], INT64(WIDE_PICK))
        return builder.select(wide, INT64(pick_rows(WIDE_PICK)), INT64(pick_rows(1)))

    return types.intp(types.intp), codegen


@intrinsic
def max_dot_rows(_context: Any) -> Any:
    """Return how many rows the tallest dot tile has, a constant of the compiled code."""
    return types.intp(), lambda *_: INT64(dot_rows())


@kernel
def panel_width(left: int, lanes: int) -> int:
    """Return the width of the next panel, in columns, if `left` columns are left; both are whole vectors.

    A panel has three vectors, two, or one. Three need the fewest loads for each product and one the most, so
    four vectors that are left make two panels of two.
    """
    vectors = left // lanes
    if vectors == WIDE_PICK or vectors > WIDE_PICK + 1:
        return WIDE_PICK * lanes
    return min(vectors, 2) * lanes


@kernel
def panel_start(number: int, columns: int, lanes: int) -> int:
    """Return the first column of a panel that `panel_width` cuts, or `columns` if there is no such panel."""
    start = 0
    for _ in range(number):
        start += panel_width(columns - start, lanes)
    return start


@kernel
def tile_count(rows: int, most: int) -> int:
    """Return the least count of tiles that have at most `most` rows.

    Tile t has the rows from t * rows // count up to (t + 1) * rows // count.
    """
    return (rows + most - 1) // most
