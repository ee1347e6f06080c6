"""Matrix product on the micro-kernels of `_tile`, blocked as `_block` describes."""

import numpy as np
from numba import prange

from pycaffe_lite.kernels import _block
from pycaffe_lite.kernels._block import multiply_block, pack_rows, row_length
from pycaffe_lite.kernels._jit import Array, get_num_threads, kernel, parallel_kernel
from pycaffe_lite.kernels._scratch import scratch
from pycaffe_lite.kernels._simd import copy_run, take_task, target, vector_lanes

NOTHING: dict[str, Array] = {char: np.empty(0, char) for char in "fd"}


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
    row_stride, k_stride = (1, M) if trans_a else (K, 1)
    offsets = np.arange(K, dtype=np.int64) * k_stride
    # blocks of equal size, at least a few per thread
    threads = get_num_threads()
    lanes = target().lanes(c.itemsize)
    tile = 2 * lanes
    columns = min(_block.COLUMNS, max(tile, -(-N // (2 * threads) // tile) * tile))
    rows = min(_block.ROWS, M)
    tasks = -(-M // rows) * -(-N // columns)
    workers = min(threads, tasks)
    per_worker = _block.DEPTH * (rows + columns + 2 * tile + tile) + _block.OUTER_TILE_SIZE + 64
    per_worker = -(-per_worker // 64) * 64
    memory = scratch(c.dtype, workers * per_worker).reshape(workers, per_worker)
    zeros = np.zeros(rows, c.dtype)
    _gemm(
        a.reshape(-1), row_stride, offsets, b.reshape(-1), trans_b, c.reshape(-1), M, N, K, beta != 0,
        rows, columns, zeros, NOTHING[c.dtype.char], np.zeros(1, np.int64), memory,
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
def _gemm(
    a: Array, row_stride: int, offsets: Array, b: Array, transposed: bool, c: Array, M: int, N: int, K: int,
    accumulate: bool, rows: int, columns: int, zeros: Array, no_scale: Array, counter: Array, memory: Array,
) -> None:  # fmt: skip
    """C[i, j] = (C[i, j] if accumulate else 0) + sum over k of A[i, k] B[k, j]; sums in the arrays' type.

    A as in `pack_rows`, B as in `pack_matrix`, C (M, N). A task is one block of rows x columns of C.
    """
    row_blocks, column_blocks = (M + rows - 1) // rows, (N + columns - 1) // columns
    one = a.dtype.type(1)
    for worker in prange(memory.shape[0]):
        space = memory[worker]
        ld = row_length(columns, a)
        b_piece = space[: _block.DEPTH * ld]
        a_piece = space[_block.DEPTH * ld : _block.DEPTH * (ld + rows)]
        tile = space[_block.DEPTH * (ld + rows) :]
        task = take_task(counter)
        while task < row_blocks * column_blocks:
            i0, j0 = task // column_blocks * rows, task % column_blocks * columns
            height, j1 = min(rows, M - i0), min(N, j0 + columns)
            for k0 in range(0, K, _block.DEPTH):
                k1 = min(K, k0 + _block.DEPTH)
                pack_rows(a, i0 * row_stride, row_stride, offsets, k0, k1, height, no_scale, 0, a_piece, 0)
                pack_matrix(b, transposed, N, K, k0, k1, j0, j1, b_piece, ld)
                multiply_block(
                    a_piece, 0, height, k1 - k0, b_piece, 0, ld, c, i0 * N, N, j0, j1, N, 0,
                    zeros, 0, accumulate or k0 > 0, False, one, tile,
                )  # fmt: skip
            task = take_task(counter)
