"""Patches of one picture compared with displaced patches of another, as FlowNet finds where things moved.

The pictures are padded, and have their channels last: a, b: (N, H, W, C). Output (n, k, p, q) compares the
patch of a that begins at row p stride + top, column q stride + left with that of b which is displaced by
moves[k], rows and columns: y = Σ f(a, b) / count over the patch and the channels, with count their number,
and f a product or an absolute difference. Sums are kept in float64. What lies outside of b counts as 0.
"""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, kernel, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory, workers_for


@kernel
def _row_sum(a: Array, b: Array, subtract: bool) -> float:
    """Σ f(a, b) over two rows of numbers."""
    total = 0.0
    if subtract:
        for i in range(a.size):
            total += np.float64(abs(a[i] - b[i]))
    else:
        for i in range(a.size):
            total += np.float64(a[i]) * b[i]
    return total


@kernel
def _columns(b: Array, row: int, column: int, size: int) -> tuple[int, int]:
    """Which of `size` columns from `column` on, in this row, are in b: from the first to the second."""
    if row < 0 or row >= b.shape[0]:
        return 0, 0
    return max(0, -column), max(0, min(size, b.shape[1] - column))


def forward(
    a: Array, b: Array, size: int, stride: int, top: int, left: int, moves: Array, subtract: bool, y: Array
) -> None:
    """Computes y, (N, K, P, Q).  moves: (K, 2)."""
    memory = no_memory(a.dtype, workers_for(a.size * len(moves)))
    _forward(memory, a, b, size, stride, top, left, moves, subtract, y)


@worker_kernel
def _forward(
    a: Array, b: Array, size: int, stride: int, top: int, left: int, moves: Array, subtract: bool, y: Array,
    tasks: Tasks, _memory: Array,
) -> None:  # fmt: skip
    N, K, P, Q = y.shape
    count = size * size * a.shape[3]
    none = np.zeros(a.shape[3], a.dtype)
    task = take_task(tasks, N * P)
    while task < N * P:
        n, p = task // P, task % P
        task = take_task(tasks, N * P)
        for q in range(Q):
            row, column = p * stride + top, q * stride + left
            for k in range(K):
                total = 0.0
                for j in range(size):
                    other = column + moves[k, 1]
                    first, stop = _columns(b[n], row + j + moves[k, 0], other, size)
                    for i in range(size):
                        theirs = b[n, row + j + moves[k, 0], other + i] if first <= i < stop else none
                        total += _row_sum(a[n, row + j, column + i], theirs, subtract)
                y[n, k, p, q] = total / count


def backward(
    a: Array, b: Array, dy: Array, size: int, stride: int, top: int, left: int, moves: Array, subtract: bool,
    da: Array, db: Array,
) -> None:  # fmt: skip
    """Adds the gradients to da and db, of the shapes of a and b.  The slope of |a - b| at 0 counts as 1."""
    memory = no_memory(a.dtype, workers_for(a.size * len(moves)))
    _backward(memory, a, b, dy, size, stride, top, left, moves, subtract, da, db)


@worker_kernel
def _backward(
    a: Array, b: Array, dy: Array, size: int, stride: int, top: int, left: int, moves: Array, subtract: bool,
    da: Array, db: Array, tasks: Tasks, _memory: Array,
) -> None:  # fmt: skip
    N, K, P, Q = dy.shape
    C = a.shape[3]
    one = a.dtype.type(1)
    share = one / a.dtype.type(size * size * C)
    n = take_task(tasks, N)
    while n < N:
        for p in range(P):
            for q in range(Q):
                row, column = p * stride + top, q * stride + left
                for k in range(K):
                    d = dy[n, k, p, q] * share
                    for j in range(size):
                        theirs, other = row + j + moves[k, 0], column + moves[k, 1]
                        first, stop = _columns(b[n], theirs, other, size)
                        for i in range(first, stop):
                            x, z = a[n, row + j, column + i], b[n, theirs, other + i]
                            dx, dz = da[n, row + j, column + i], db[n, theirs, other + i]
                            for c in range(C):
                                if subtract:
                                    slope = d if x[c] >= z[c] else -d
                                    dx[c] += slope
                                    dz[c] -= slope
                                else:
                                    dx[c] += d * z[c]
                                    dz[c] += d * x[c]
        n = take_task(tasks, N)
