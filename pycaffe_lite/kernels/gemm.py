"""Matrix product on the micro-kernels of `_tile`, blocked as `_block` describes."""

from functools import lru_cache

import numpy as np

from pycaffe_lite.kernels._block import dot_block
from pycaffe_lite.kernels._convolution_forward import product
from pycaffe_lite.kernels._image import Geometry, Window, geometry
from pycaffe_lite.kernels._jit import Array, get_num_threads, worker_kernel
from pycaffe_lite.kernels._scratch import worker_memory
from pycaffe_lite.kernels._simd import take_task, target, vector_lanes
from pycaffe_lite.kernels._tile import DOT_COLUMNS, tile_table
from pycaffe_lite.kernels._weights import Weights

DOT_LEAST_DEPTH = 64  # below it, adding up the lanes costs more than packing
DOT_DEPTH = 1024  # steps of k per piece: 4 rows of b, and the 4 that follow, 32 KB, stay in the L1 cache
DOT_ROWS = 64  # rows of C per block: that piece of a, 256 KB, stays in the L2 cache
DOT_MOST_COLUMNS = 64
FEW_ROWS = 32  # of a: so few multiplications for each number of b that memory takes as long as they do


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
        _outer_product(a, np.ascontiguousarray(b.T) if trans_b else b, c, trans_a, beta != 0)


@lru_cache(maxsize=256)
def _dot_tables(N: int, K: int, lanes: int) -> tuple[Array, Array]:
    """Where the vectors of a piece of the depth start, and where the rows of b do."""
    return np.arange(0, min(K, DOT_DEPTH), lanes), np.arange(N + DOT_COLUMNS) * K


def _dot_product(a: Array, b: Array, c: Array, accumulate: bool) -> None:
    """Compute c = a bᵀ or c += a bᵀ: the rows of both run along the depth, so nothing is packed."""
    (M, N), threads = c.shape, get_num_threads()
    rows = min(DOT_ROWS, M)
    columns = max(DOT_COLUMNS, min(DOT_MOST_COLUMNS, -(-N // (4 * threads)) // DOT_COLUMNS * DOT_COLUMNS))
    workers = min(threads, -(-M // rows) * -(-N // columns))
    steps, taps = _dot_tables(N, a.shape[1], target().lanes(c.itemsize))
    _dot_blocks(
        worker_memory(c.dtype, workers, 1), tile_table(c.dtype), a.reshape(-1), b.reshape(-1), c.reshape(-1),
        M, N, a.shape[1], accumulate, rows, columns, steps, taps, np.zeros(1, np.int64),
    )  # fmt: skip


@lru_cache(maxsize=256)
def _as_convolution(M: int, N: int, K: int, trans_a: bool) -> tuple[Geometry, Weights]:
    return geometry(1, K, 1, N, M, 1, N, Window(1, 1)), Weights(0, 1, M, 1) if trans_a else Weights(
        0, K, 1, 1
    )


def _outer_product(a: Array, b: Array, c: Array, trans_a: bool, accumulate: bool) -> None:
    """Compute c = op(a) b or c += op(a) b, as a convolution of one image with b's rows for channels."""
    (M, N), K = c.shape, b.shape[0]
    g, weights = _as_convolution(M, N, K, trans_a)
    product(b, a, np.zeros(M, c.dtype), np.empty(0, c.dtype), 1.0, c, g, weights, accumulate)


@worker_kernel
def _dot_blocks(
    tiles: Array, a: Array, b: Array, c: Array, M: int, N: int, K: int, accumulate: bool, rows: int,
    columns: int, steps: Array, taps: Array, counter: Array, _memory: Array,
) -> None:  # fmt: skip
    """C[i, j] = (C[i, j] if accumulate else 0) + sum over k of a[i, k] b[j, k]; sums in the arrays' type.

    a: (M, K), b: (N, K), C: (M, N). A task is one block of rows x columns of C.
    """
    row_blocks, column_blocks = (M + rows - 1) // rows, (N + columns - 1) // columns
    lanes = vector_lanes(a)
    task = take_task(counter)
    while task < row_blocks * column_blocks:
        i0, j0 = task // column_blocks * rows, task % column_blocks * columns
        height, width = min(rows, M - i0), min(columns, N - j0)
        for k0 in range(0, K, DOT_DEPTH):
            depth = min(DOT_DEPTH, K - k0)
            dot_block(
                tiles, a, i0 * K + k0, K, steps, height, b, k0, taps, j0, steps, width, False,
                depth // lanes, depth % lanes, c, i0 * N + j0, N, accumulate or k0 > 0, False,
                DOT_COLUMNS * K if M <= FEW_ROWS else 0,
            )  # fmt: skip
        task = take_task(counter)
