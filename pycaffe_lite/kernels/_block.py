"""Blocks of a matrix product: packing, and the loops round the micro-kernels of `_tile`.

C = A B is cut into blocks that fit the caches. For one block of rows and one block of columns of C, the
depth is walked in pieces of DEPTH steps:

    B piece  DEPTH x columns   copied row by row into a buffer that stays in the L2 cache; the part under
                               one column of tiles, DEPTH x 2 vectors, is 32 KB and stays in the L1 cache
    A piece  rows x DEPTH      *packed*: tile after tile, within a tile all its rows' numbers for k = 0,
                               then for k = 1, ..; the tiles stream from the L2 cache
    C        rows x columns    updated in memory once per piece of the depth

Every element of C is the sum over k in ascending order, piece by piece, whatever the blocks and the
threads are: the result depends on neither.
"""

from pycaffe_lite.kernels._jit import Array, kernel
from pycaffe_lite.kernels._simd import vector_lanes
from pycaffe_lite.kernels._tile import (
    DOT_COLUMNS,
    OUTER_VECTORS,
    dot_tile,
    max_dot_rows,
    max_outer_rows,
    outer_tile,
    tile_count,
)

DEPTH = 256  # steps of k per piece
ROWS = 240  # rows of C per block: the A piece is 240 KB
COLUMNS = 512  # columns of C per block: the B piece is 512 KB
OUTER_TILE_SIZE = 12 * 2 * 16  # numbers in the largest outer tile
DOT_TILE_SIZE = 6 * DOT_COLUMNS


@kernel
def row_length(columns: int, like: Array) -> int:
    """Numbers from one row of a buffer of `columns` columns to the next.

    Whole tiles, and one vector more: `copy_run` writes beyond a row's end, and with an odd number of cache
    lines a column of the buffer does not fall on a few sets of the cache.
    """
    lanes: int = vector_lanes(like)
    tile = OUTER_VECTORS * lanes
    return (columns + tile - 1) // tile * tile + lanes


@kernel
def pack_rows(
    a: Array, at: int, row_stride: int, offsets: Array, k0: int, k1: int, rows: int,
    scale: Array, so: int, out: Array, to: int,
) -> None:  # fmt: skip
    """Pack `rows` rows of A for k0 <= k < k1 as `outer_tile` reads them, from out[to] on.

    A[r, k] = a[at + r * row_stride + offsets[k]], times scale[so + r] unless scale is empty.
    """
    count = tile_count(rows, max_outer_rows())
    for t in range(count):
        first, last = t * rows // count, (t + 1) * rows // count
        height = last - first
        for r in range(height):
            start = at + (first + r) * row_stride
            factor = scale[so + first + r] if scale.size > 0 else a.dtype.type(1)
            for k in range(k1 - k0):
                out[to + k * height + r] = factor * a[start + offsets[k0 + k]]
        to += height * (k1 - k0)


@kernel
def multiply_block(
    a: Array, ao: int, rows: int, depth: int, b: Array, bo: int, ldb: int,
    c: Array, co: int, ldc: int, j0: int, j1: int, plane: int, plane_stride: int,
    start: Array, so: int, accumulate: bool, activate: bool, slope: float, tile: Array,
) -> None:  # fmt: skip
    """C = act(first + A B) for one block and one piece of the depth; first and act as in `outer_tile`.

    A: `rows` packed rows at a[ao]. B: column j (j0 <= j < j1) of step k is b[bo + k * ldb + j - j0].
    C: columns come in planes (images) of `plane` columns, plane_stride apart: C[r, j] is
    c[co + j // plane * plane_stride + r * ldc + j % plane].
    tile: working memory of OUTER_TILE_SIZE for tiles that C does not hold whole.
    """
    lanes = vector_lanes(a)
    count = tile_count(rows, max_outer_rows())
    j = j0
    while j < j1:
        width = min(OUTER_VECTORS * lanes, j1 - j)
        vectors = (width + lanes - 1) // lanes
        whole = width == vectors * lanes and j % plane + width <= plane
        bj = bo + j - j0
        for t in range(count):
            first, last = t * rows // count, (t + 1) * rows // count
            height, packed = last - first, ao + first * depth
            if whole:
                at = co + j // plane * plane_stride + first * ldc + j % plane
                outer_tile(
                    height, vectors, depth, a, packed, b, bj, ldb, c, at, ldc,
                    start, so + first, accumulate, activate, slope,
                )  # fmt: skip
                continue
            held = vectors * lanes
            if accumulate:
                for r in range(height):
                    for i in range(width):
                        at = (j + i) // plane * plane_stride + (first + r) * ldc + (j + i) % plane
                        tile[r * held + i] = c[co + at]
            outer_tile(
                height, vectors, depth, a, packed, b, bj, ldb, tile, 0, held,
                start, so + first, accumulate, activate, slope,
            )  # fmt: skip
            for r in range(height):
                for i in range(width):
                    at = (j + i) // plane * plane_stride + (first + r) * ldc + (j + i) % plane
                    c[co + at] = tile[r * held + i]
        j += width


@kernel
def dot_block(
    a: Array, ao: int, lda: int, rows: int, b: Array, bo: int, ldb: int, columns: int, depth: int,
    c: Array, co: int, ldc: int, accumulate: bool, tile: Array,
) -> None:  # fmt: skip
    """C[i, j] = (C[i, j] if accumulate else 0) + sum over k of A[i, k] B[j, k], for rows x columns.

    A and B as `dot_tile` reads them. C[i, j] = c[co + i * ldc + j].
    tile: working memory of DOT_TILE_SIZE.
    """
    count = tile_count(rows, max_dot_rows())
    for j in range(0, columns, DOT_COLUMNS):
        width = min(DOT_COLUMNS, columns - j)
        for t in range(count):
            first, last = t * rows // count, (t + 1) * rows // count
            dot_tile(last - first, width, depth, a, ao + first * lda, lda, b, bo + j * ldb, ldb, tile)
            for r in range(last - first):
                at = co + (first + r) * ldc + j
                for i in range(width):
                    value = tile[r * DOT_COLUMNS + i]
                    c[at + i] = c[at + i] + value if accumulate else value
