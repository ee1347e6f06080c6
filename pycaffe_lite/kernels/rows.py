"""Adding rows into the rows of a table, at given places."""

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, parallel_kernel, serial_kernel

COLUMNS = 64  # columns of one task
PLACES = 16  # rows of the table in one task; tasks share no number of it, so that no two write to one


def add(rows: Array, index: Array, table: Array) -> None:
    """table[index[m], k] += rows[m, k] for all m; what is added to one place is summed up in float64.

    rows: (M, K). index: (M,), whole numbers within the table. table: (R, K).
    """
    heads, following = np.empty(len(index), np.int64), np.empty(len(index), np.int64)
    count = _chain(index, len(table), heads, following)
    _add_chains(rows, index, heads[:count], following, table)


@serial_kernel
def _chain(index: Array, size: int, heads: Array, following: Array) -> int:
    """Chain the rows of one index: each to the next one, -1 for the last.

    index: (M,), numbers below size. heads: (M,), the first row of each chain; as many as are returned.
    following: (M,).
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
    """As `add`, from the chains of `_chain`; a task is some columns of some chains, in the order of m."""
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
