"""Affine maps, sums and moments of (N, C, inner) arrays, channel by channel.

BatchNorm, MVN, Scale and Bias are made of these. Each pass reads its arrays once: they are bound by memory.
Rows (one n and one c) are cut into blocks, so that a single long row is spread over threads, too. If inner is
1, the channels of an image lie next to each other and loops run over them. Sums are kept in float64, one for
each block, and are added in the order of the blocks.
"""

import math

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import (
    Array,
    Tasks,
    kernel,
    parallel_kernel,
    take_task,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.scratch import no_memory, workers_for
from pycaffe_lite.kernels.simd.elements import same_place

BLOCK = 16384  # numbers of a row in one task: 64 KB
COLUMNS = 64  # channels in one task if inner is 1


@kernel
def _task_count(N: int, C: int, inner: int) -> int:
    """How many tasks go over an array value by value: one for each image if inner is 1, or for each block."""
    return N if inner == 1 else N * C * ((inner + BLOCK - 1) // BLOCK)


@kernel
def _block(task: int, C: int, inner: int) -> tuple[int, int, int, int]:
    """The n, c, start and stop of a block."""
    blocks = (inner + BLOCK - 1) // BLOCK
    start = task % blocks * BLOCK
    return task // blocks // C, task // blocks % C, start, min(inner, start + BLOCK)


def standardizing_affine(
    mean: Array, variance: Array, weight: Array, eps: float, gain: Array | None, offset: Array | None
) -> tuple[Array, Array]:
    """The scale and shift that standardize each channel, then multiply by `gain` and add `offset`.

    scale = gain / sqrt(variance / weight + eps), shift = offset - scale mean / weight. The first factor and
    its product with the mean are computed in double precision, the rest in the arrays' type. A weight of 0
    counts as mean and variance 0.

    mean, variance: (C,), sums. weight: (1,), by which they are divided. gain, offset: (C,), or None.
    Returns scale and shift, (C,).
    """
    scale, shift, none = np.empty_like(mean), np.empty_like(mean), mean[:0]
    gain, offset = (none if array is None else array for array in (gain, offset))
    _standardizing_affine(
        no_memory(mean.dtype, workers=1), mean, variance, weight, float(eps), gain, offset, scale, shift
    )  # fmt: skip
    return scale, shift


@worker_kernel
def _standardizing_affine(
    mean: Array, variance: Array, weight: Array, eps: float, gain: Array, offset: Array, scale: Array,
    shift: Array, tasks: Tasks, _memory: Array,
) -> None:  # fmt: skip
    """Computes what `standardizing_affine` returns; gain and offset may be empty."""
    if take_task(tasks, 1) > 0:
        return
    factor = 1.0 / np.float64(weight[0]) if weight[0] != 0 else 0.0
    for c in range(mean.size):
        exact = 1.0 / math.sqrt(factor * np.float64(variance[c]) + eps)
        scale[c] = exact
        shift[c] = -(factor * np.float64(mean[c])) * exact
    for c in range(gain.size):
        scale[c] *= gain[c]
        shift[c] *= gain[c]
    for c in range(offset.size):
        shift[c] += offset[c]


@kernel
def _affine(x: Array, centre: float, scale: float, shift: float, y: Array) -> None:
    if same_place(x, y):
        for i in range(y.size):
            y[i] = (y[i] - centre) * scale + shift
    else:
        for i in range(y.size):
            y[i] = (x[i] - centre) * scale + shift


def affine(x: Array, centre: Array, scale: Array, shift: Array, y: Array) -> None:
    """y[n, c, i] = (x[n, c, i] - centre[c]) * scale[c] + shift[c].

    x, y: (N, C, inner); y may be x. centre, scale, shift: (C,), of the type of x.
    """
    _affine_tasks(no_memory(x.dtype, workers_for(x.size)), x, centre, scale, shift, y)


@worker_kernel
def _affine_tasks(
    x: Array, centre: Array, scale: Array, shift: Array, y: Array, tasks: Tasks, _memory: Array
) -> None:
    N, C, inner = x.shape
    count = _task_count(N, C, inner)
    task = take_task(tasks, count)
    while task < count:
        if inner == 1:
            for c in range(C):
                y[task, c, 0] = (x[task, c, 0] - centre[c]) * scale[c] + shift[c]
        else:
            n, c, start, stop = _block(task, C, inner)
            _affine(x[n, c, start:stop], centre[c], scale[c], shift[c], y[n, c, start:stop])
        task = take_task(tasks, count)


@kernel
def _blend(a: Array, p: float, b: Array, centre: float, q: float, r: float, y: Array) -> None:
    if same_place(a, y):
        for i in range(y.size):
            y[i] = p * y[i] + q * (b[i] - centre) + r
    elif same_place(b, y):
        for i in range(y.size):
            y[i] = p * a[i] + q * (y[i] - centre) + r
    else:
        for i in range(y.size):
            y[i] = p * a[i] + q * (b[i] - centre) + r


def blend(a: Array, p: Array, b: Array, centre: Array, q: Array, r: Array, y: Array) -> None:
    """y[n, c, i] = p[c] a[n, c, i] + q[c] (b[n, c, i] - centre[c]) + r[c].

    a, b, y: (N, C, inner); y may be a or b. p, centre, q, r: (C,), of the type of a.
    """
    _blend_tasks(no_memory(a.dtype, workers_for(a.size)), a, p, b, centre, q, r, y)


@worker_kernel
def _blend_tasks(
    a: Array, p: Array, b: Array, centre: Array, q: Array, r: Array, y: Array, tasks: Tasks, _memory: Array
) -> None:
    N, C, inner = a.shape
    count = _task_count(N, C, inner)
    task = take_task(tasks, count)
    while task < count:
        if inner == 1:
            for c in range(C):
                y[task, c, 0] = p[c] * a[task, c, 0] + q[c] * (b[task, c, 0] - centre[c]) + r[c]
        else:
            n, c, start, stop = _block(task, C, inner)
            part_a, part_b, part_y = a[n, c, start:stop], b[n, c, start:stop], y[n, c, start:stop]
            _blend(part_a, p[c], part_b, centre[c], q[c], r[c], part_y)
        task = take_task(tasks, count)


# reassoc lets the sums run in vector lanes. Their order does not depend on the number of threads.
@kernel(fastmath={"reassoc", "nsz"})
def _sum(a: Array) -> float:
    total = 0.0
    for i in range(a.size):
        total += a[i]
    return total


@kernel(fastmath={"reassoc", "nsz"})
def _dot(a: Array, b: Array) -> float:
    total = 0.0
    for i in range(a.size):
        total += np.float64(a[i]) * b[i]
    return total


@kernel(fastmath={"reassoc", "nsz"})
def _squares(a: Array, centre: float) -> float:
    total = 0.0
    for i in range(a.size):
        total += (a[i] - centre) ** 2
    return total


@kernel
def _part_count(N: int, C: int, inner: int) -> int:
    """How many tasks add up: one for each group of channels if inner is 1, or for each block."""
    return (C + COLUMNS - 1) // COLUMNS if inner == 1 else N * C * ((inner + BLOCK - 1) // BLOCK)


@kernel
def _column_sums(a: Array, b: Array, start: int, stop: int, sum_a: Array, sum_ab: Array) -> None:
    """Does what `sums` does for the channels from start to stop of arrays (N, C, 1)."""
    sum_a[start:stop] = 0
    sum_ab[start:stop] = 0
    for n in range(a.shape[0]):
        for c in range(start, stop):
            sum_a[c] += a[n, c, 0]
        if b.size > 0:
            for c in range(start, stop):
                sum_ab[c] += np.float64(a[n, c, 0]) * b[n, c, 0]


@kernel
def _collect_sums(parts: Array, C: int, inner: int, sum_a: Array, sum_ab: Array) -> None:
    """Adds up the sums of the blocks, in order."""
    sum_a[:] = 0
    sum_ab[:] = 0
    for part in range(parts.shape[0]):
        channel = _block(part, C, inner)[1]
        sum_a[channel] += parts[part, 0]
        sum_ab[channel] += parts[part, 1]


@parallel_kernel
def sums(a: Array, b: Array, sum_a: Array, sum_ab: Array) -> None:
    """sum_a[c] = sum over n, i of a[n, c, i], and sum_ab[c] = the same of a b.

    a, b: (N, C, inner); b may be empty, then sum_ab is 0. sum_a, sum_ab: (C,), float64.
    """
    N, C, inner = a.shape
    count = _part_count(N, C, inner)
    parts = np.empty((count, 2))
    for part in prange(count):
        if inner == 1:
            _column_sums(a, b, part * COLUMNS, min(C, (part + 1) * COLUMNS), sum_a, sum_ab)
        else:
            n, c, start, stop = _block(part, C, inner)
            parts[part, 0] = _sum(a[n, c, start:stop])
            parts[part, 1] = _dot(a[n, c, start:stop], b[n, c, start:stop]) if b.size > 0 else 0.0
    if inner != 1:
        _collect_sums(parts, C, inner, sum_a, sum_ab)


@kernel
def _column_moments(x: Array, start: int, stop: int, mean: Array, variance: Array) -> None:
    """Does what `moments` does for the channels from start to stop of an array (N, C, 1)."""
    mean[start:stop] = 0
    variance[start:stop] = 0
    N = x.shape[0]
    for n in range(N):
        for c in range(start, stop):
            mean[c] += x[n, c, 0]
    for c in range(start, stop):
        mean[c] /= N
    for n in range(N):
        for c in range(start, stop):
            variance[c] += (x[n, c, 0] - mean[c]) ** 2
    for c in range(start, stop):
        variance[c] /= N


@kernel
def _collect_moments(parts: Array, x: Array, mean: Array, variance: Array) -> None:
    """Combines the means and sums of squares of the blocks."""
    N, C, inner = x.shape
    mean[:] = 0
    variance[:] = 0
    for part in range(parts.shape[0]):
        _, channel, start, stop = _block(part, C, inner)
        mean[channel] += parts[part, 0] * (stop - start) / (N * inner)
    for part in range(parts.shape[0]):
        _, channel, start, stop = _block(part, C, inner)
        off = (stop - start) * (parts[part, 0] - mean[channel]) ** 2
        variance[channel] += (parts[part, 1] + off) / (N * inner)


@parallel_kernel
def moments(x: Array, mean: Array, variance: Array) -> None:
    """mean[c] = average over n, i of x[n, c, i]; variance[c] = average of (x[n, c, i] - mean[c])².

    Each block has a mean of its own and a sum of squares about it, which are combined afterwards: so a mean
    far from 0 costs no precision.

    x: (N, C, inner), not empty. mean, variance: (C,), float64.
    """
    N, C, inner = x.shape
    count = _part_count(N, C, inner)
    parts = np.empty((count, 2))
    for part in prange(count):
        if inner == 1:
            _column_moments(x, part * COLUMNS, min(C, (part + 1) * COLUMNS), mean, variance)
        else:
            n, c, start, stop = _block(part, C, inner)
            block = x[n, c, start:stop]
            parts[part, 0] = _sum(block) / block.size
            parts[part, 1] = _squares(block, parts[part, 0])
    if inner != 1:
        _collect_moments(parts, x, mean, variance)
