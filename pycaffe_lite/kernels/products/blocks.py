"""Blocks of a matrix product: packing, and the loops round the micro-kernels of `simd.tiles`.

C = A B is cut into blocks that fit the caches. For one block of rows and one block of columns of C, the
depth is walked in pieces of about DEPTH steps:

    A piece  rows x DEPTH      *packed*: tile after tile, within a tile all its rows' numbers for k = 0,
                               then for k = 1, ..; the tiles stream from the L2 cache
    B piece  DEPTH x columns   read where it stands, or copied into a buffer of rows, in the L2 cache; the
                               part under one column of tiles, DEPTH x 2 vectors, is 32 KB: the L1 cache
    C        rows x columns    updated in memory once per piece of the depth

Every element of C is summed over k in ascending order, piece by piece, so the result depends neither on the
blocks nor on the number of threads. The steps of a piece are added up on their own, and then their sum is
added to C: rounding errors grow with the length of the pieces and with their number, not with the depth.
"""

from typing import NamedTuple

from pycaffe_lite.kernels.products.sizes import reader_of
from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, kernel, take_task, worker_kernel
from pycaffe_lite.kernels.simd.copies import copy_exact, copy_run, transpose_exact, transpose_runs
from pycaffe_lite.kernels.simd.tiles import (
    DOT_COLUMNS,
    FOUR_HALVES,
    MOST_SITES,
    ONE_VECTOR,
    TWO_VECTORS,
    dot_tile,
    max_dot_rows,
    max_outer_rows,
    outer_tile,
    tile_count,
)
from pycaffe_lite.kernels.simd.vectors import keep_small, vector_lanes

DEPTH = 256  # steps of k per piece
ROWS = 240  # rows of C per block: the A piece is 240 KB
COLUMNS = 512  # columns of C per block: the B piece is 512 KB
SUM_DEPTH = 512  # steps of k, at most, that are added up one by one: the sums of such pieces are added then
SHALLOW = 64  # steps of k up to which writing C takes longer than multiplying
OUTER_TILE_SIZE = 12 * 2 * 16  # numbers in the largest outer tile
SITES_SIZE = 2 * MOST_SITES


@kernel
def row_length(columns: int, like: Array) -> int:
    """Numbers from one row of a buffer of `columns` columns to the next.

    There are whole tiles and one vector more: `copy_run` writes beyond a row's end, and with an odd number of
    cache lines per row the numbers of a column do not crowd a few sets of the cache.
    """
    lanes: int = vector_lanes(like)
    tile = 2 * lanes
    return (columns + tile - 1) // tile * tile + lanes


@kernel
def whole_vectors(count: int, like: Array) -> int:
    """The count, rounded up to whole vectors: what follows starts at a cache line."""
    lanes: int = vector_lanes(like)
    return (count + lanes - 1) // lanes * lanes


class Packing(NamedTuple):
    """One call of `pack_rows`: which rows of A go where.

    A[r, i * inner + j] = a[at + r * row_stride + i * outer_stride + j * inner_stride], r < rows, i < outer,
    j < inner. The packed tiles start at out[to]; `first` is the number of row 0, which finds its scale.
    """

    at: int
    row_stride: int
    rows: int
    outer: int
    outer_stride: int
    inner: int
    inner_stride: int
    to: int
    first: int


packing_of = reader_of(Packing)


@kernel
def moved(p: Packing, to: int) -> Packing:
    """The same packing with another destination."""
    return Packing(p.at, p.row_stride, p.rows, p.outer, p.outer_stride, p.inner, p.inner_stride, to, p.first)


@kernel
def pack_rows(a: Array, p: Packing, scale: Array, out: Array) -> None:
    """Pack rows of A, times scale[p.first + r] unless scale is empty, as `outer_tile` reads them."""
    keep_small()
    lanes = vector_lanes(a)
    depth, to = p.outer * p.inner, p.to
    count = tile_count(p.rows, max_outer_rows())
    for t in range(count):
        top, bottom = t * p.rows // count, (t + 1) * p.rows // count
        height, fits = bottom - top, bottom - top <= lanes
        # whole vectors may write beyond their numbers, but not beyond the tile
        safe = depth - (lanes + height - 1) // height
        for i in range(p.outer):
            start, j = p.at + top * p.row_stride + i * p.outer_stride, 0
            if fits and p.inner_stride == 1:
                while j + lanes <= min(p.inner, safe - i * p.inner):
                    transpose_runs(
                        a, start + j, p.row_stride, height, out, to + (i * p.inner + j) * height, height
                    )
                    j += lanes
            elif fits and p.row_stride == 1 and p.inner_stride > 0:
                readable = (a.size - lanes - start) // p.inner_stride
                while j < min(p.inner, safe - i * p.inner, readable):
                    copy_run(a, start + j * p.inner_stride, out, to + (i * p.inner + j) * height, height)
                    j += 1
            for rest in range(j, p.inner):
                for r in range(height):
                    source = start + r * p.row_stride + rest * p.inner_stride
                    out[to + (i * p.inner + rest) * height + r] = a[source]
        if scale.size > 0:
            for k in range(depth):
                for r in range(height):
                    out[to + k * height + r] *= scale[p.first + top + r]
        to += height * depth


@kernel
def transpose_panel(
    a: Array, at: int, row_stride: int, rows: int, count: int, width: int, out: Array, to: int
) -> None:
    """out[to + k * width + r] = a[at + r * row_stride + k] for r < rows <= width, k < count.

    width is a number of whole vectors. Elements between rows and width get arbitrary values, and so may as
    many rows of `out` after the last one as a vector has lanes.
    """
    keep_small()
    lanes = vector_lanes(a)
    for v in range(0, rows, lanes):
        height, start = min(lanes, rows - v), at + v * row_stride
        k = 0
        while k < count and start + (height - 1) * row_stride + k + lanes <= a.size:
            transpose_runs(a, start + k, row_stride, height, out, to + k * width + v, width)
            k += lanes
        for rest in range(k, count):
            for r in range(height):
                out[to + rest * width + v + r] = a[start + r * row_stride + rest]


@kernel
def store_transposed(
    a: Array, at: int, ld: int, rows: int, columns: int, out: Array, to: int, out_ld: int
) -> None:
    """out[to + j * out_ld + i] = a[at + i * ld + j] for i < rows, j < columns; reads whole vectors of a."""
    lanes = vector_lanes(a)
    for j in range(0, columns, lanes):
        for i in range(0, rows, lanes):
            transpose_exact(
                a, at + i * ld + j, ld, min(lanes, rows - i), out, to + j * out_ld + i, out_ld,
                min(lanes, columns - j),
            )  # fmt: skip


@kernel
def pack_panel(a: Array, p: Packing, scale: Array, width: int, out: Array) -> None:
    """Pack rows of A, times scale[p.first + r] unless scale is empty, as columns of a panel for `pick_tile`.

    A[r, k] goes to out[p.to + k * width + r]; width is a number of whole vectors. As for `transpose_panel`,
    elements between p.rows and width get arbitrary values.
    """
    keep_small()
    lanes = vector_lanes(a)
    for i in range(p.outer):
        at, to = p.at + i * p.outer_stride, p.to + i * p.inner * width
        if p.inner_stride == 1 and i + 1 == p.outer:
            # whole vectors may write beyond the panel: its last numbers go one by one
            whole = max(0, p.inner - 2 * vector_lanes(a))
            transpose_panel(a, at, p.row_stride, p.rows, whole, width, out, to)
        elif (
            abs(p.inner_stride) == 1
            and at + (p.rows - 1) * p.row_stride + max(0, p.inner_stride) * p.inner + lanes <= a.size
        ):
            # runs of a few taps each; if they are read backwards, the last tap comes first
            whole = p.inner
            back = 0 if p.inner_stride == 1 else p.inner - 1
            step = p.inner_stride * width
            store_transposed(a, at - back, p.row_stride, p.rows, p.inner, out, to + back * width, step)
        else:
            whole = 0
        for j in range(whole, p.inner):
            for r in range(p.rows):
                out[to + j * width + r] = a[at + r * p.row_stride + j * p.inner_stride]
    if scale.size > 0:
        for k in range(p.outer * p.inner):
            for r in range(p.rows):
                out[p.to + k * width + r] *= scale[p.first + r]


@worker_kernel
def pack_panels(a: Array, jobs: Array, scale: Array, out: Array, tasks: Tasks, _memory: Array) -> None:
    """Do `pack_panel` for every row of jobs: fields of Packing, then width."""
    number = take_task(tasks, jobs.shape[0])
    while number < jobs.shape[0]:
        pack_panel(a, packing_of(jobs[number]), scale, jobs[number, 9], out)
        number = take_task(tasks, jobs.shape[0])


@worker_kernel
def pack_all(a: Array, jobs: Array, scale: Array, out: Array, tasks: Tasks, _memory: Array) -> None:
    """Do `pack_rows` for every row of jobs: (jobs, fields of Packing)."""
    number = take_task(tasks, jobs.shape[0])
    while number < jobs.shape[0]:
        pack_rows(a, packing_of(jobs[number]), scale, out)
        number = take_task(tasks, jobs.shape[0])


@kernel
def copy_tile(
    c: Array, co: int, ldc: int, j: int, width: int, height: int, plane: int, plane_stride: int,
    tile: Array, held: int, read: bool,
) -> None:  # fmt: skip
    """Copy columns j .. j + width of C, found as in `multiply_packed`, to rows of `held` numbers, or back."""
    keep_small()
    i = 0
    while i < width:
        count = min(width - i, plane - (j + i) % plane)
        at = co + (j + i) // plane * plane_stride + (j + i) % plane
        for r in range(height):
            if read:
                copy_exact(c, at + r * ldc, tile, r * held + i, count)
            else:
                copy_exact(tile, r * held + i, c, at + r * ldc, count)
        i += count


@kernel
def multiply_packed(
    tiles: Array, a: Array, ao: int, rows: int, depth: int, b: Array, taps: Array,
    c: Array, co: int, ldc: int,
    j0: int, j1: int, plane: int, plane_stride: int, start: Array, so: int,
    accumulate: bool, activate: bool, slope: float, tile: Array, sites: Array,
) -> None:  # fmt: skip
    """C = act(first + A B) for one block and one piece of the depth; first and act as in `outer_tile`.

    A: `rows` packed rows at a[ao]. B: column j (j0 <= j < j1) of step k is b[taps[k] + j - j0].
    C: columns come in planes (images) of `plane` columns, plane_stride apart: C[r, j] is
    c[co + j // plane * plane_stride + r * ldc + j % plane].
    tile, sites: working memory of OUTER_TILE_SIZE and SITES_SIZE.
    """
    keep_small()
    lanes = vector_lanes(a)
    count = tile_count(rows, max_outer_rows())
    rounds = count if depth <= SHALLOW else 1  # as in `multiply_lines`
    for t0 in range(rounds):
        j = j0
        while j < j1:
            width = min(2 * lanes, j1 - j)
            vectors = (width + lanes - 1) // lanes
            shape = TWO_VECTORS if vectors == 2 else ONE_VECTOR
            whole = width == vectors * lanes and j % plane + width <= plane
            held = vectors * lanes
            at = j // plane * plane_stride + j % plane if whole else 0
            for v in range(vectors):
                sites[v], sites[MOST_SITES + v] = j - j0 + v * lanes, at + v * lanes
            for t in range(t0, t0 + count // rounds):
                first, last = t * rows // count, (t + 1) * rows // count
                height, packed, row = last - first, ao + first * depth, co + first * ldc
                into, io, ldi = (c, row, ldc) if whole else (tile, 0, held)
                if accumulate and not whole:
                    copy_tile(c, row, ldc, j, width, height, plane, plane_stride, tile, held, True)
                for k in range(0, depth, SUM_DEPTH):
                    steps = min(SUM_DEPTH, depth - k)
                    outer_tile(
                        tiles, height, shape, steps, a, packed + k * height, b, 0, taps, k, into, io, ldi,
                        sites, start, so + first, accumulate or k > 0, activate and k + steps == depth, slope,
                        False,
                    )  # fmt: skip
                if not whole:
                    copy_tile(c, row, ldc, j, width, height, plane, plane_stride, tile, held, False)
            j += width


@kernel
def multiply_lines(
    tiles: Array, a: Array, ao: int, rows: int, depth: int, b: Array, bo: int, taps: Array, to: int,
    c: Array, co: int, ldc: int, images: int, lines: int, width: int,
    b_image: int, b_line: int, c_image: int, c_line: int,
    start: Array, so: int, accumulate: bool, activate: bool, slope: float, bypass: bool, sites: Array,
) -> None:  # fmt: skip
    """C = act(first + A B) for columns that are lines of `width` neighbours; first, act as in `outer_tile`.

    Column (n, p, q), q < width, of step k is b[bo + n * b_image + p * b_line + q + taps[to + k]], and
    C[r; n, p, q] = c[co + r * ldc + n * c_image + p * c_line + q]. width is a multiple of half a vector, so
    that every tile is made of whole runs and B is read where it stands, whatever its taps are. bypass: as for
    `outer_tile`.
    """
    keep_small()
    lanes = vector_lanes(a)
    halves = width % lanes != 0
    run = lanes // 2 if halves else lanes
    most = MOST_SITES if halves else 2
    count = tile_count(rows, max_outer_rows())
    # A shallow product is bound by writing C, and memory takes long runs best: so all columns pass the first
    # tile's rows, then the next's. A deep one keeps the columns of a tile in the L1 cache for all the rows.
    rounds = count if depth <= SHALLOW else 1
    for t0 in range(rounds):
        left = images * lines * (width // run)
        n, p, q = 0, 0, 0
        while left > 0:
            runs = min(most, left)
            left -= runs
            for s in range(runs):
                sites[s] = n * b_image + p * b_line + q
                sites[MOST_SITES + s] = n * c_image + p * c_line + q
                q += run
                if q == width:
                    q, p = 0, p + 1
                    if p == lines:
                        p, n = 0, n + 1
            shape = TWO_VECTORS if runs == 2 else ONE_VECTOR
            if halves:
                shape = FOUR_HALVES
                for s in range(runs, most):  # too few: the last one is repeated, with the same result
                    sites[s], sites[MOST_SITES + s] = sites[runs - 1], sites[MOST_SITES + runs - 1]
            for t in range(t0, t0 + count // rounds):
                first, last = t * rows // count, (t + 1) * rows // count
                for k in range(0, depth, SUM_DEPTH):
                    steps, packed = min(SUM_DEPTH, depth - k), ao + first * depth + k * (last - first)
                    outer_tile(
                        tiles, last - first, shape, steps, a, packed, b, bo, taps, to + k,
                        c, co + first * ldc, ldc, sites, start, so + first, accumulate or k > 0,
                        activate and k + steps == depth, slope, bypass,
                    )  # fmt: skip


@kernel
def dot_block(
    tiles: Array, a: Array, ao: int, lda: int, a_steps: Array, rows: int,
    b: Array, bo: int, taps: Array, to: int,
    b_steps: Array, columns: int, halves: bool, whole: int, rest: int, c: Array, co: int, ldc: int,
    accumulate: bool, a_stays: bool, ahead: int,
) -> None:  # fmt: skip
    """C[i, j] = (C[i, j] if accumulate else 0) + sum over k of A[i, k] B[j, k], for rows x columns.

    A, B and C as `dot_tile` reads them. With a_stays the rows of a tile stay in the L1 cache while all of
    B passes, without it the columns of a tile while all of A passes. ahead: from the columns of one tile to
    those of the next, or 0; see `dot_tile`.
    """
    count, across = tile_count(rows, max_dot_rows()), tile_count(columns, DOT_COLUMNS)
    for number in range(count * across):
        t, j = (number // across, number % across) if a_stays else (number % count, number // count)
        first, last, j = t * rows // count, (t + 1) * rows // count, j * DOT_COLUMNS
        for step in range(0, max(1, whole), SUM_DEPTH):
            steps = min(SUM_DEPTH, whole - step)
            dot_tile(
                tiles, last - first, min(DOT_COLUMNS, columns - j), halves, steps,
                rest if step + steps == whole else 0, a, ao + first * lda, lda, a_steps, step,
                b, bo, taps, to + j, b_steps, c, co + first * ldc + j, ldc, accumulate or step > 0, ahead,
            )  # fmt: skip
