"""Softmax over the middle axis of (N, C, inner) arrays.

Each position has a sum over C of its own, so rows (if inner is 1) or blocks of positions are spread over
threads. Sums are kept in float64, except those of few values (see `simd.sums`).
"""

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import (
    Array,
    Tasks,
    get_num_threads,
    kernel,
    parallel_kernel,
    take_task,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.scratch import no_memory, worker_memory, workers_for
from pycaffe_lite.kernels.simd.math import exp
from pycaffe_lite.kernels.simd.sums import sum_of, worker_totals

ADDED = 32  # channels that are summed in the arrays' type before the sum goes to float64
COLUMNS = 256  # positions of one task: their maxima and sums stay in the L1 cache


def forward(x: Array, y: Array) -> None:
    """y[n, c, i] = e^(x[n, c, i] - m) / sum over c of the same, m = max over c of x[n, c, i].

    x, y: (N, C, inner); y may be x.
    """
    if x.size == 0:
        return
    if x.shape[2] == 1:
        rows = x.shape[:2]
        _forward_rows(no_memory(x.dtype, workers_for(x.size)), x.reshape(rows), y.reshape(rows))
    else:
        memory = worker_memory(x.dtype, get_num_threads(), 2 * COLUMNS)
        _forward_columns(memory, x, y, worker_totals(len(memory), COLUMNS))


def backward(y: Array, dy: Array, dx: Array) -> None:
    """dx[n, c, i] = y[n, c, i] (dy[n, c, i] - sum over c of dy y).

    y, dy, dx: (N, C, inner); dx may be dy.
    """
    if y.shape[2] == 1:
        shape = y.shape[:2]
        _backward_rows(y.reshape(shape), dy.reshape(shape), dx.reshape(shape))
    else:
        _backward_columns(y, dy, dx)


# Unlike `simd.sums.sum_of`, in float64 throughout: the terms may cancel each other.
@kernel(fastmath={"reassoc", "nsz"})
def _dot(a: Array, b: Array) -> float:
    total = 0.0
    for i in range(a.size):
        total += np.float64(a[i]) * b[i]
    return total


@worker_kernel
def _forward_rows(x: Array, y: Array, tasks: Tasks, _memory: Array) -> None:
    n = take_task(tasks, x.shape[0])
    while n < x.shape[0]:
        source, row = x[n], y[n]
        peak = source[0]
        for c in range(row.size):
            peak = max(peak, source[c])
        for c in range(row.size):
            row[c] = exp(source[c] - peak)
        total = x.dtype.type(sum_of(row))
        for c in range(row.size):
            row[c] /= total
        n = take_task(tasks, x.shape[0])


@worker_kernel
def _forward_columns(x: Array, y: Array, totals: Array, tasks: Tasks, memory: Array) -> None:
    """Each task is a block of positions. totals: (workers, COLUMNS), for sums. memory: (2 * COLUMNS,)."""
    N, C, inner = x.shape
    peaks, parts = memory[:COLUMNS], memory[COLUMNS : 2 * COLUMNS]
    blocks = (inner + COLUMNS - 1) // COLUMNS
    task = take_task(tasks, N * blocks)
    while task < N * blocks:
        n, start = task // blocks, task % blocks * COLUMNS
        stop = min(inner, start + COLUMNS)
        peak, part, total = peaks[: stop - start], parts[: stop - start], totals[tasks.worker, : stop - start]
        peak[:] = x[n, 0, start:stop]
        total[:] = 0
        for c in range(1, C):
            source = x[n, c, start:stop]
            for i in range(peak.size):
                peak[i] = max(peak[i], source[i])
        for first in range(0, C, ADDED):
            part[:] = 0
            for c in range(first, min(C, first + ADDED)):
                source, row = x[n, c, start:stop], y[n, c, start:stop]
                for i in range(peak.size):
                    row[i] = exp(source[i] - peak[i])
                    part[i] += row[i]
            for i in range(total.size):
                total[i] += part[i]
        part[:] = total
        for c in range(C):
            row = y[n, c, start:stop]
            for i in range(peak.size):
                row[i] /= part[i]
        task = take_task(tasks, N * blocks)


@parallel_kernel
def _backward_rows(y: Array, dy: Array, dx: Array) -> None:
    for n in prange(y.shape[0]):
        row, source, out = y[n], dy[n], dx[n]
        dot = y.dtype.type(_dot(row, source))
        for c in range(row.size):
            out[c] = row[c] * (source[c] - dot)


@parallel_kernel
def _backward_columns(y: Array, dy: Array, dx: Array) -> None:
    N, C, inner = y.shape
    blocks = (inner + COLUMNS - 1) // COLUMNS
    for task in prange(N * blocks):
        n, start = task // blocks, task % blocks * COLUMNS
        stop = min(inner, start + COLUMNS)
        total, dot = np.zeros(stop - start), np.empty(stop - start, y.dtype)
        for first in range(0, C, ADDED):
            dot[:] = 0
            for c in range(first, min(C, first + ADDED)):
                row, source = y[n, c, start:stop], dy[n, c, start:stop]
                for i in range(dot.size):
                    dot[i] += row[i] * source[i]
            for i in range(total.size):
                total[i] += dot[i]
        dot[:] = total
        for c in range(C):
            row, source, out = y[n, c, start:stop], dy[n, c, start:stop], dx[n, c, start:stop]
            for i in range(dot.size):
                out[i] = row[i] * (source[i] - dot[i])
