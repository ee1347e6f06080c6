"""Rows that are added to the rows of a table, as an embedding's gradient is."""

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, parallel_kernel, serial_kernel

COLUMNS = 64  # columns of one task
PLACES = 16  # rows of the table in one task; no number of the table belongs to two tasks


def add(rows: Array, index: Array, table: Array) -> None:
    """table[index[m], k] += rows[m, k] for all m. What is added to one number is first summed in float64.

    rows: (M, K). index: (M,), whole numbers within the table. table: (R, K).
    """
    heads, following = np.empty(len(index), np.int64), np.empty(len(index), np.int64)
    count = _chain(index, len(table), heads, following)
    _add_chains(rows, index, heads[:count], following, table)


@serial_kernel
def _chain(index: Array, size: int, heads: Array, following: Array) -> int:
    """Chains the rows of equal index, and returns how many chains there are.

    index: (M,), numbers below size. heads: (M,), set to the first row of each chain. following: (M,), set to
    the row that follows each row in its chain; -1 for the last.
    """
    first = np.full(size, -1)
    for m in range(index.size - 1, -1, -1):
        following[m] = first[index[m]]
        first[index[m]] = m
    count = 0
    for m in range(index.size):
        if first[index[m]] == m:
            heads[count] = m
            count += 1
    return count


@parallel_kernel
def _add_chains(rows: Array, index: Array, heads: Array, following: Array, table: Array) -> None:
    """Adds the rows of the chains that `_chain` made. A task is some columns of some chains."""
    K = rows.shape[1]
    across = (K + COLUMNS - 1) // COLUMNS
    for task in prange((heads.size + PLACES - 1) // PLACES * across):
        start = task % across * COLUMNS
        stop = min(start + COLUMNS, K)
        total = np.empty(stop - start)
        for i in range(task // across * PLACES, min(heads.size, (task // across + 1) * PLACES)):
            total[:] = 0
            m = heads[i]
            while m >= 0:
                for k in range(start, stop):
                    total[k - start] += rows[m, k]
                m = following[m]
            row = index[heads[i]]
            for k in range(start, stop):
                table[row, k] += total[k - start]
