"""Adding rows into the rows of a table, at given places."""

from numba import prange

from pycaffe_lite.kernels._jit import Array, parallel_kernel

COLUMNS = 64  # columns of one task; tasks share no column, so that no two write to one place


@parallel_kernel
def add(rows: Array, index: Array, table: Array) -> None:
    """table[index[m], k] += rows[m, k], in the order of m.

    rows: (M, K). index: (M,), whole numbers within the table. table: (R, K).
    """
    M, K = rows.shape
    for task in prange((K + COLUMNS - 1) // COLUMNS):
        start = task * COLUMNS
        stop = min(start + COLUMNS, K)
        for m in range(M):
            row = index[m]
            for k in range(start, stop):
                table[row, k] += rows[m, k]
