"""Copies between several arrays and their places in the rows of a larger one."""

from collections.abc import Iterable

from numba import prange

from pycaffe_lite.kernels._jit import Array, get_num_threads, kernel, parallel_kernel
from pycaffe_lite.kernels._simd import copy_memory


def join(parts: Iterable[Array], starts: Array, whole: Array) -> None:
    """whole[n, starts[k] + i] = parts[k][n, i].

    parts: (N, width_k) each; starts: int64, one for each part; whole: (N, W). All are contiguous.
    """
    _copy_parts(tuple(parts), starts, whole, True, get_num_threads())


def split(whole: Array, starts: Array, parts: Iterable[Array]) -> None:
    """parts[k][n, i] = whole[n, starts[k] + i]; arrays as for `join`."""
    _copy_parts(tuple(parts), starts, whole, False, get_num_threads())


@parallel_kernel
def _copy_parts(parts: tuple[Array, ...], starts: Array, whole: Array, joins: bool, tasks: int) -> None:
    """Do `join`, or else `split`. Each task has as many numbers to copy."""
    total = 0
    for k in range(len(parts)):
        total += parts[k].size
    for task in prange(tasks):
        _copy_some(parts, starts, whole, joins, task * total // tasks, (task + 1) * total // tasks)


@kernel
def _copy_some(
    parts: tuple[Array, ...], starts: Array, whole: Array, joins: bool, first: int, last: int
) -> None:
    """Copy the numbers first .. last of all parts, one after another."""
    rows, W, base = whole.reshape(-1), whole.shape[1], 0
    for k in range(len(parts)):
        part, width = parts[k].reshape(-1), parts[k].shape[1]
        at, stop = max(0, first - base), min(part.size, last - base)
        base += part.size
        if at >= stop:
            continue
        n, i = at // width, at % width
        while at < stop:
            count, place = min(width - i, stop - at), n * W + starts[k] + i
            if joins:
                copy_memory(part, at, rows, place, count)
            else:
                copy_memory(rows, place, part, at, count)
            at, n, i = at + count, n + 1, 0
