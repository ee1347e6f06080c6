"""Products C = A B of few rows and a large B, which is read from memory once.

A task is a block of columns of C. Their sums stay in the caches while the rows of B are added to them, a few
rows at a time and in long runs, which memory delivers fastest.
"""

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, get_num_threads, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.scratch import worker_memory
from pycaffe_lite.kernels.simd.copies import copy_exact
from pycaffe_lite.kernels.simd.tiles import STREAM_ROWS, stream_tile, tile_table
from pycaffe_lite.kernels.simd.vectors import vector_lanes

FEW_ROWS = 32  # of A: with so few products for each number of B, reading B takes as long as multiplying
LARGE = 1 << 18  # numbers of B: 1 MB, which does not stay in the L2 cache
MOST_ROWS = 4096  # of B: the sums of STREAM_ROWS of them are added up in the arrays' type
SUMS = 98304  # per task, 384 KB, in the L2 cache: the more columns, the longer the runs of B


def suits(M: int, N: int, K: int) -> bool:
    """Whether streaming B is the fastest way to multiply (M, K) by (K, N)."""
    return M <= FEW_ROWS and N * K >= LARGE


def stream_product(a: Array, b: Array, c: Array, accumulate: bool) -> None:
    """Compute c = a b or c += a b. a: (M, K), b: (K, N), c: (M, N)."""
    (M, N), threads = c.shape, get_num_threads()
    lanes = target().lanes(c.itemsize)
    blocks = -(-N * M // (SUMS * threads)) * threads
    columns = -(-N // (blocks * 2 * lanes)) * 2 * lanes
    memory = worker_memory(c.dtype, threads, (columns + STREAM_ROWS) * M)
    _columns(
        memory, tile_table(c.dtype), a.reshape(-1), b.reshape(-1), c.reshape(-1), M, N, a.shape[1], columns,
        accumulate,
    )  # fmt: skip


@worker_kernel
def _columns(
    tiles: Array, a: Array, b: Array, c: Array, M: int, N: int, K: int, columns: int, accumulate: bool,
    tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """Do blocks of `stream_product` until none is left; sums in the arrays' type."""
    panel = 2 * vector_lanes(c)
    sums, factors = memory[: columns * M], memory[columns * M :]
    task_count = (N + columns - 1) // columns
    task = take_task(tasks, task_count)
    while task < task_count:
        j0 = task * columns
        width = min(columns, N - j0)
        sums[:] = 0
        for k in range(0, K, STREAM_ROWS):
            depth = min(STREAM_ROWS, K - k)
            for i in range(M):
                for r in range(depth):
                    factors[i * depth + r] = a[i * K + k + r]
            stream_tile(tiles, depth, width, M, factors, 0, b, k * N + j0, N, sums, 0)
        for j in range(0, width, panel):
            for i in range(M):
                at, to, count = j * M + i * panel, i * N + j0 + j, min(panel, width - j)
                if accumulate:
                    for lane in range(count):
                        c[to + lane] += sums[at + lane]
                else:
                    copy_exact(sums, at, c, to, count)
        task = take_task(tasks, task_count)
