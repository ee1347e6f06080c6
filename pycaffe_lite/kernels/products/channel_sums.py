"""Sums of (N, C, inner) arrays over all but the channels: the gradients of biases.

Sums are kept in float64 but for those of few values (see `simd.sums`). Images are cut into a fixed number of
parts, whose sums are added in order: results do not depend on the number of threads.
"""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory, scratch, worker_memory, workers_for
from pycaffe_lite.kernels.simd.sums import sum_of, totals_of, totals_size

PARTS = 4  # of the images at most, each with its own sums
COLUMNS = 128  # channels in one task where inner is 1: they are next to each other then
ROWS = 16  # whose sum is kept in the arrays' type


def add_channel_sums(x: Array, sums: Array, accumulate: bool) -> None:
    """Add to sums[c] the sum over n, i of x[n, c, i], or overwrite it.  x: (N, C, inner). sums: (C,)."""
    N, C, inner = x.shape
    if inner == 1:
        memory = worker_memory(x.dtype, workers_for(x.size), totals_size(COLUMNS) + COLUMNS)
        _add_rows(memory, x.reshape(-1), sums, accumulate)
        return
    parts = min(PARTS, N)
    of_parts = scratch("sums", np.dtype(np.float64), parts * C)
    _sum_planes(no_memory(x.dtype, workers_for(x.size)), x, of_parts, parts)
    _add_parts(no_memory(x.dtype, workers=1), of_parts, sums, parts, accumulate)


@worker_kernel
def _add_rows(x: Array, sums: Array, accumulate: bool, tasks: Tasks, memory: Array) -> None:
    """As `add_channel_sums` where inner is 1; a task is COLUMNS channels of all rows.

    memory: (totals_size(COLUMNS) + COLUMNS,).
    """
    C = sums.size
    N, blocks = x.size // C, (C + COLUMNS - 1) // COLUMNS
    totals, parts = totals_of(memory[: 2 * COLUMNS]), memory[2 * COLUMNS :]
    task = take_task(tasks, blocks)
    while task < blocks:
        first = task * COLUMNS
        added = sums[first : min(C, first + COLUMNS)]
        total, part = totals[: added.size], parts[: added.size]
        total[:] = 0
        for start in range(0, N, ROWS):
            part[:] = 0
            for n in range(start, min(N, start + ROWS)):
                row = x[n * C + first : n * C + first + part.size]
                for c in range(part.size):
                    part[c] += row[c]
            for c in range(part.size):
                total[c] += part[c]
        for c in range(added.size):
            added[c] = added[c] + total[c] if accumulate else total[c]
        task = take_task(tasks, blocks)


@worker_kernel
def _sum_planes(x: Array, of_parts: Array, parts: int, tasks: Tasks, _memory: Array) -> None:
    """of_parts[part * C + c] = the sum of `add_channel_sums` over a part of the images, image by image.

    Whoever has made an image's gradients, or will use them, is likely to sum them up.
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
