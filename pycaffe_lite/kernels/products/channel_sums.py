"""Sums of (N, C, inner) arrays over all but the channels: the gradients of biases.

Sums are kept in float64, except those of few values (see `simd.sums`). Images are cut into a fixed number of
parts, whose sums are added in order: results do not depend on the number of threads.
"""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory, scratch, workers_for
from pycaffe_lite.kernels.simd.sums import sum_of

PARTS = 4  # of the images at most, each with its own sums
COLUMNS = 128  # channels in one task where inner is 1: they are next to each other then


def add_channel_sums(x: Array, sums: Array, accumulate: bool) -> None:
    """Add to sums[c] the sum over n, i of x[n, c, i], or overwrite it.  x: (N, C, inner). sums: (C,)."""
    N, C, inner = x.shape
    if inner == 1:
        totals = scratch("sums", np.dtype(np.float64), C)
        _add_rows(no_memory(x.dtype, workers_for(x.size)), x.reshape(N, C), totals, sums, accumulate)
        return
    parts = min(PARTS, N)
    of_parts = scratch("sums", np.dtype(np.float64), parts * C)
    _sum_planes(no_memory(x.dtype, workers_for(x.size)), x, of_parts, parts)
    _add_parts(no_memory(x.dtype, workers=1), of_parts, sums, parts, accumulate)


@worker_kernel
def _add_rows(x: Array, totals: Array, sums: Array, accumulate: bool, tasks: Tasks, _memory: Array) -> None:
    """As `add_channel_sums` where inner is 1.  x: (N, C). totals: (C,).

    A task is COLUMNS channels of all rows.
    """
    N, C = x.shape
    blocks = (C + COLUMNS - 1) // COLUMNS
    task = take_task(tasks, blocks)
    while task < blocks:
        first, end = task * COLUMNS, min(C, (task + 1) * COLUMNS)
        total, out = totals[first:end], sums[first:end]
        total[:] = 0
        for n in range(N):
            row = x[n, first:end]
            for c in range(total.size):
                total[c] += row[c]
        for c in range(total.size):
            out[c] = out[c] + total[c] if accumulate else total[c]
        task = take_task(tasks, blocks)


@worker_kernel
def _sum_planes(x: Array, of_parts: Array, parts: int, tasks: Tasks, _memory: Array) -> None:
    """of_parts[part * C + c] = the sum of `add_channel_sums` over a part of the images, image by image.

    Tasks are in the order of images, so a thread most likely sums gradients that it has just computed.
    """
    N, C = x.shape[:2]
    task = take_task(tasks, parts * C)
    while task < parts * C:
        part, c, total = task // C, task % C, 0.0
        for n in range(part * N // parts, (part + 1) * N // parts):
            plane = x[n, c]
            total += sum_of(plane)
        of_parts[task] = total
        task = take_task(tasks, parts * C)


@worker_kernel
def _add_parts(
    of_parts: Array, sums: Array, parts: int, accumulate: bool, tasks: Tasks, _memory: Array
) -> None:
    """As `add_channel_sums`, from the sums of the parts, in ascending order."""
    if take_task(tasks, 1) > 0:
        return
    C = sums.size
    for c in range(C):
        total = 0.0
        for part in range(parts):
            total += of_parts[part * C + c]
        sums[c] = sums[c] + total if accumulate else total
