"""Matrix product on the micro-kernels of `_tile`, blocked as `_block` describes."""

import numpy as np
from numba import prange

from pycaffe_lite.kernels import _block
from pycaffe_lite.kernels._block import dot_block, multiply_block, pack_rows, row_length
from pycaffe_lite.kernels._jit import Array, get_num_threads, kernel, parallel_kernel
from pycaffe_lite.kernels._scratch import scratch
from pycaffe_lite.kernels._simd import copy_run, take_task, target, vector_lanes
from pycaffe_lite.kernels._tile import DOT_COLUMNS

CACHE_LINE = 64  # numbers: no two workers write to one cache line
DOT_LEAST_DEPTH = 64  # below it, adding up the lanes costs more than packing
DOT_DEPTH = 2048  # steps of k per piece: 4 rows of b, 32 KB, stay in the L1 cache
DOT_ROWS = 64  # rows of C per block: that piece of a, 512 KB, stays in the L2 cache
DOT_MOST_COLUMNS = 64


def gemm(
    a: Array, b: Array, c: Array, trans_a: bool = False, trans_b: bool = False, beta: float = 0.0
) -> None:
    """Compute c = op(a) op(b) + beta c, where op transposes if asked to.

    The arrays are contiguous, all float32 or all float64; sums are kept in that type.

    Args:
        a: (M, K), or (K, M) with trans_a.
        b: (K, N), or (N, K) with trans_b.
        c: (M, N).
        trans_a: a is given transposed.
        trans_b: b is given transposed.
        beta: 0 (c is overwritten, whatever it holds), 1, or any other number.
    """
    M, N = c.shape
    K = a.shape[0] if trans_a else a.shape[1]
    if a.shape != ((K, M) if trans_a else (M, K)) or b.shape != ((N, K) if trans_b else (K, N)):
        raise ValueError(f"gemm: shapes {a.shape} and {b.shape} do not multiply to {c.shape}")
    if beta == 0 and K == 0:
        c.fill(0)
    elif beta not in (0, 1):
        c *= c.dtype.type(beta)
    if M == 0 or N == 0 or K == 0:
        return
    if trans_b and not trans_a and K >= DOT_LEAST_DEPTH:
        _dot_product(a, b, c, beta != 0)
    else:
        _outer_product(a, b, c, trans_a, trans_b, beta != 0)


def _dot_product(a: Array, b: Array, c: Array, accumulate: bool) -> None:
    """Compute c = a bᵀ or c += a bᵀ: the rows of both run along the depth, so nothing is packed."""
    (M, N), threads = c.shape, get_num_threads()
    rows = min(DOT_ROWS, M)
    columns = max(DOT_COLUMNS, min(DOT_MOST_COLUMNS, -(-N // (4 * threads)) // DOT_COLUMNS * DOT_COLUMNS))
    workers = min(threads, -(-M // rows) * -(-N // columns))
    memory = scratch(c.dtype, workers * CACHE_LINE).reshape(workers, CACHE_LINE)
    flat = a.reshape(-1), b.reshape(-1), c.reshape(-1)
    _dot_blocks(*flat, M, N, a.shape[1], accumulate, rows, columns, np.zeros(1, np.int64), memory)


def _outer_product(a: Array, b: Array, c: Array, trans_a: bool, trans_b: bool, accumulate: bool) -> None:
    """Compute c = op(a) op(b) or c += op(a) op(b)."""
    (M, N), threads = c.shape, get_num_threads()
    K = a.shape[0] if trans_a else a.shape[1]
    row_stride, k_stride = (1, M) if trans_a else (K, 1)
    tile = 2 * target().lanes(c.itemsize)
    rows = min(_block.ROWS, M)
    columns = max(tile, min(_block.COLUMNS, -(-N // (2 * threads) // tile) * tile))
    workers = min(threads, -(-M // rows) * -(-N // columns))
    depth = min(_block.DEPTH, K)
    numbers = depth * (rows + columns + tile) + _block.OUTER_TILE_SIZE + tile
    numbers = -(-numbers // CACHE_LINE) * CACHE_LINE
    memory = scratch(c.dtype, workers * numbers).reshape(workers, numbers)
    _outer_blocks(
        a.reshape(-1), row_stride, np.arange(K) * k_stride, b.reshape(-1), trans_b, c.reshape(-1), M, N, K,
        accumulate, rows, columns, np.zeros(rows, c.dtype), np.zeros(1, np.int64), memory,
    )  # fmt: skip


@kernel
def pack_matrix(
    b: Array, transposed: bool, N: int, K: int, k0: int, k1: int, j0: int, j1: int, out: Array, ld: int
) -> None:
    """Copy B[k, j], k0 <= k < k1, j0 <= j < j1, to out[(k - k0) * ld + j - j0].

    B[k, j] is b[k * N + j], or b[j * K + k] if transposed.
    """
    if transposed:
        for j in range(j0, j1):
            for k in range(k0, k1):
                out[(k - k0) * ld + j - j0] = b[j * K + k]
        return
    for k in range(k0, k1):
        if k * N + j1 + vector_lanes(b) <= b.size:
            copy_run(b, k * N + j0, out, (k - k0) * ld, j1 - j0)
        else:
            for j in range(j0, j1):
                out[(k - k0) * ld + j - j0] = b[k * N + j]


@parallel_kernel
def _outer_blocks(
    a: Array, row_stride: int, offsets: Array, b: Array, transposed: bool, c: Array, M: int, N: int, K: int,
    accumulate: bool, rows: int, columns: int, zeros: Array, counter: Array, memory: Array,
) -> None:  # fmt: skip
    """C[i, j] = (C[i, j] if accumulate else 0) + sum over k of A[i, k] B[k, j]; sums in the arrays' type.

    A as in `pack_rows`, B as in `pack_matrix`, C (M, N). A task is one block of rows x columns of C.
    """
    row_blocks, column_blocks = (M + rows - 1) // rows, (N + columns - 1) // columns
    depth = min(_block.DEPTH, K)
    one = a.dtype.type(1)
    for worker in prange(memory.shape[0]):
        ld = row_length(columns, a)
        b_piece, rest = memory[worker], memory[worker][depth * ld :]
        a_piece, tile = rest, rest[depth * rows :]
        task = take_task(counter)
        while task < row_blocks * column_blocks:
            i0, j0 = task // column_blocks * rows, task % column_blocks * columns
            height, j1 = min(rows, M - i0), min(N, j0 + columns)
            for k0 in range(0, K, _block.DEPTH):
                k1 = min(K, k0 + _block.DEPTH)
                pack_rows(a, i0 * row_stride, row_stride, offsets, k0, k1, height, zeros[:0], 0, a_piece, 0)
                pack_matrix(b, transposed, N, K, k0, k1, j0, j1, b_piece, ld)
                multiply_block(
                    a_piece, 0, height, k1 - k0, b_piece, 0, ld, c, i0 * N, N, j0, j1, N, 0,
                    zeros, 0, accumulate or k0 > 0, False, one, tile,
                )  # fmt: skip
            task = take_task(counter)


@parallel_kernel
def _dot_blocks(
    a: Array, b: Array, c: Array, M: int, N: int, K: int, accumulate: bool, rows: int, columns: int,
    counter: Array, memory: Array,
) -> None:  # fmt: skip
    """C[i, j] = (C[i, j] if accumulate else 0) + sum over k of a[i, k] b[j, k]; sums in the arrays' type.

    a: (M, K), b: (N, K), C: (M, N). A task is one block of rows x columns of C.
    """
    row_blocks, column_blocks = (M + rows - 1) // rows, (N + columns - 1) // columns
    for worker in prange(memory.shape[0]):
        tile = memory[worker]
        task = take_task(counter)
        while task < row_blocks * column_blocks:
            i0, j0 = task // column_blocks * rows, task % column_blocks * columns
            height, width = min(rows, M - i0), min(columns, N - j0)
            for k0 in range(0, K, DOT_DEPTH):
                dot_block(
                    a, i0 * K + k0, K, height, b, j0 * K + k0, K, width, min(DOT_DEPTH, K - k0),
                    c, i0 * N + j0, N, accumulate or k0 > 0, tile,
                )  # fmt: skip
            task = take_task(counter)
