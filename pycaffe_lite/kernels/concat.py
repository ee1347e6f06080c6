"""Copies between several arrays and their places in the rows of a larger one."""

from collections.abc import Iterable

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, kernel, take_piece, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory
from pycaffe_lite.kernels.simd.copies import copy_memory


def join(parts: Iterable[Array], starts: Array, whole: Array) -> None:
    """whole[n, starts[k] + i] = parts[k][n, i].

    parts: (N, width_k) each; starts: int64, one for each part; whole: (N, W). All are contiguous.
    """
    for part, start in zip(parts, starts, strict=True):
        _join(no_memory(whole.dtype), part, int(start), whole)


def split(whole: Array, starts: Array, parts: Iterable[Array]) -> None:
    """parts[k][n, i] = whole[n, starts[k] + i]; arrays as for `join`."""
    for part, start in zip(parts, starts, strict=True):
        _split(no_memory(whole.dtype), whole, int(start), part)


@worker_kernel
def _join(part: Array, start: int, whole: Array, tasks: Tasks, _memory: Array) -> None:
    _copy(part, start, whole, True, tasks)


@worker_kernel
def _split(whole: Array, start: int, part: Array, tasks: Tasks, _memory: Array) -> None:
    _copy(part, start, whole, False, tasks)


@kernel
def _copy(part: Array, start: int, whole: Array, joins: bool, tasks: Tasks) -> None:
    """Copies a part to whole[:, start:] if it joins, and else from there. A task is a piece of the part."""
    numbers, rows, width, W = part.reshape(-1), whole.reshape(-1), part.shape[1], whole.shape[1]
    at, stop = take_piece(tasks, numbers.size)
    while at < stop:
        n, i = at // width, at % width
        while at < stop:
            count, place = min(width - i, stop - at), n * W + start + i
            if joins:
                copy_memory(numbers, at, rows, place, count)
            else:
                copy_memory(rows, place, numbers, at, count)
            at, n, i = at + count, n + 1, 0
        at, stop = take_piece(tasks, numbers.size)
