"""Products of two matrices whose rows run along the depth: C = A Bᵀ on dot tiles, without packing."""

from functools import lru_cache

import numpy as np

from pycaffe_lite.kernels.products.blocks import dot_block
from pycaffe_lite.kernels.products.shares import MOST_TASKS, TO_BEGIN, longest_share, pieces
from pycaffe_lite.kernels.runtime.decorators import (
    Array,
    Tasks,
    get_num_threads,
    kernel,
    take_task,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.scratch import worker_memory
from pycaffe_lite.kernels.simd.sums import FOLDED, fold, worker_totals
from pycaffe_lite.kernels.simd.tiles import DOT_COLUMNS, tile_table
from pycaffe_lite.kernels.simd.vectors import vector_lanes

LEAST_DEPTH = 64  # below it, adding up the lanes costs more than packing
DEPTH = 1024  # steps of k per piece: 4 rows of b, and the 4 that follow, 32 KB, stay in the L1 cache
ROWS = 64  # rows of C per block: that piece of a, 256 KB, stays in the L2 cache
MOST_COLUMNS = 64
LONG = FOLDED * DEPTH  # steps of k, at most, whose sum is kept in the arrays' type
READING = 8  # rows of a: multiplying by so many takes as long as reading b
FEW_ROWS = 32  # of a: with so few products for each number of b, reading b takes as long as multiplying


@lru_cache(maxsize=256)
def _tables(N: int, K: int, lanes: int) -> tuple[Array, Array]:
    """Where the vectors of a piece of the depth start, and where the rows of b do."""
    return np.arange(0, min(K, DEPTH), lanes), np.arange(N + DOT_COLUMNS) * K


@lru_cache(maxsize=1024)
def _block(M: int, N: int, K: int, threads: int) -> tuple[int, int]:
    """Rows and columns of a task: large ones or, if tasks are few, those that threads share most evenly."""
    rows = min(ROWS, M)
    columns = max(DOT_COLUMNS, min(MOST_COLUMNS, -(-N // (4 * threads)) // DOT_COLUMNS * DOT_COLUMNS))
    best, least = (rows, columns), 0
    for tall in (rows, -(-rows // 2)):
        for wide in range(min(MOST_COLUMNS, -(-N // DOT_COLUMNS) * DOT_COLUMNS), 0, -DOT_COLUMNS):
            across = pieces(N, wide)
            if len(across) * -(-M // tall) > MOST_TASKS * threads:
                break
            sizes = [(i + READING) * j * K + TO_BEGIN for i in pieces(M, tall) for j in across]
            share = longest_share(sizes, threads)
            if least == 0 or share < least:
                best, least = (tall, wide), share
    return best


def dot_product(
    a: Array, b: Array, c: Array, accumulate: bool, scale: Array, shift: Array, slope: float
) -> None:
    """Compute c = act(scale * (a bᵀ) + shift), or the same of c + a bᵀ; nothing is packed.

    a: (M, K), b: (N, K), c: (M, N); act(v) = v if v > 0 else slope * v. shift: (N,), or empty for the plain
    product, without scale and act; scale: (N,), or empty for 1.
    """
    (M, N), threads = c.shape, get_num_threads()
    rows, columns = _block(M, N, a.shape[1], threads)
    workers = min(threads, -(-M // rows) * -(-N // columns))
    steps, taps = _tables(N, a.shape[1], target().lanes(c.itemsize))
    is_long = a.shape[1] > LONG
    multiply, totals = (_long_blocks, worker_totals(workers, rows * columns)) if is_long else (_blocks, None)
    multiply(
        worker_memory(c.dtype, workers, 1), tile_table(c.dtype), a.reshape(-1), b.reshape(-1),
        c.reshape(-1), M, N, a.shape[1], accumulate, scale, shift, c.dtype.type(slope), rows, columns, steps,
        taps, totals,
    )  # fmt: skip


@kernel
def finish(
    c: Array, at: int, ld: int, rows: int, columns: int, scale: Array, shift: Array, n: int, slope: float
) -> None:
    """C[i, j] = act(scale[n + j] * C[i, j] + shift[n + j]) with C[i, j] = c[at + i * ld + j].

    i < rows, j < columns; scale is 1 if empty; act as for `dot_product`.
    """
    shifts = shift[n : n + columns]
    for i in range(rows):
        row = c[at + i * ld : at + i * ld + columns]
        if scale.size > 0:
            for j in range(columns):
                row[j] = scale[n + j] * row[j]
        for j in range(columns):
            value = row[j] + shifts[j]
            row[j] = value if value > 0 else slope * value


def _do_blocks(
    tiles: Array, a: Array, b: Array, c: Array, M: int, N: int, K: int, accumulate: bool, scale: Array,
    shift: Array, slope: float, rows: int, columns: int, steps: Array, taps: Array, totals: Array | None,
    tasks: Tasks, _memory: Array,
) -> None:  # fmt: skip
    """Do blocks of `dot_product` until none is left.

    Sums in the arrays' type, those of pieces of LONG steps in float64. A task is one block of rows x
    columns of C.
    """
    row_blocks, column_blocks = (M + rows - 1) // rows, (N + columns - 1) // columns
    lanes = vector_lanes(a)
    task_count = row_blocks * column_blocks
    task = take_task(tasks, task_count)
    while task < task_count:
        i0, j0 = task // column_blocks * rows, task % column_blocks * columns
        height, width = min(rows, M - i0), min(columns, N - j0)
        for k0 in range(0, K, DEPTH):
            depth = min(DEPTH, K - k0)
            dot_block(
                tiles, a, i0 * K + k0, K, steps, height, b, k0, taps, j0, steps, width, False,
                depth // lanes, depth % lanes, c, i0 * N + j0, N, (accumulate and k0 == 0) or k0 % LONG > 0,
                False, DOT_COLUMNS * K if M <= FEW_ROWS else 0,
            )  # fmt: skip
            if totals is not None:
                end = k0 + depth
                if end % LONG == 0 or end == K:
                    fold(c, i0 * N + j0, N, height, width, totals[tasks.worker], end <= LONG, end == K)
        if shift.size > 0:
            finish(c, i0 * N + j0, N, height, width, scale, shift, j0, slope)
        task = take_task(tasks, task_count)


_blocks, _long_blocks = worker_kernel(_do_blocks), worker_kernel(_do_blocks)  # without totals, and with
