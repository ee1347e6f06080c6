"""Sums of (N, C, inner) arrays over all but the channels, in float64: the gradients of biases.

The images are cut into a fixed number of parts, whose sums are added in order: results do not depend on the
number of threads.
"""

import numpy as np

from pycaffe_lite.kernels._jit import Array, Tasks, take_task, worker_kernel
from pycaffe_lite.kernels._scratch import no_memory, scratch, workers_for
from pycaffe_lite.kernels._sums import sum_of

PARTS = 4  # of the images at most, each with its own sums
COLUMNS = 128  # channels in one task where inner is 1: they are next to each other then


def add_channel_sums(x: Array, sums: Array, accumulate: bool) -> None:
    """Add to sums[c] the sum over n, i of x[n, c, i], or overwrite it.  x: (N, C, inner). sums: (C,)."""
    N, C, _ = x.shape
    parts = min(PARTS, N)
    of_parts = scratch("sums", np.dtype(np.float64), parts * C)
    _sum_parts(no_memory(x.dtype, workers_for(x.size)), x, of_parts, parts)
    _add_parts(no_memory(x.dtype, workers=1), of_parts, sums, parts, accumulate)


@worker_kernel
def _sum_parts(x: Array, of_parts: Array, parts: int, tasks: Tasks, _memory: Array) -> None:
    """of_parts[part * C + c] = the sum of `add_channel_sums` over a part of the images.

    Whoever has made an image's gradients, or will use them, is likely to sum them up.
    """
    (N, C, inner), values = x.shape, x.reshape(-1)
    width = COLUMNS if inner == 1 else 1
    blocks = (C + width - 1) // width
    task = take_task(tasks, parts * blocks)
    while task < parts * blocks:
        part, first = task // blocks, task % blocks * width
        begin, end = part * N // parts, (part + 1) * N // parts
        sums = of_parts[part * C + first : part * C + min(C, first + width)]
        sums[:] = 0
        for n in range(begin, end):
            at = (n * C + first) * inner
            if inner == 1:
                row = values[at : at + sums.size]
                for c in range(sums.size):
                    sums[c] += row[c]
            else:
                sums[0] += sum_of(values[at : at + inner])
        task = take_task(tasks, parts * blocks)


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
