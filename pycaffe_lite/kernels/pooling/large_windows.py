"""Pooling with large windows, whose sums are kept in float64 because their roundings would add up.

Arrays, windows and results are those of `pooling`; a task is some planes.
"""

from pycaffe_lite.kernels.pooling.windows import (
    PARTS,
    PoolingWindow,
    covering,
    divided_length,
    planes_of_part,
    span,
    through_slope,
)
from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory
from pycaffe_lite.kernels.simd.sums import sum_of, worker_totals

MOST_LINES = 16  # rows or columns of a mean's window, at most, that are added up in the arrays' type
MOST_SHARED = 64  # windows with one maximum, at most, whose gradients are added up in the arrays' type


def is_large_mean(window: PoolingWindow) -> bool:
    """Whether a window has too many values for sums in the arrays' type."""
    return max(window.kernel_h, window.kernel_w) > MOST_LINES


def is_shared_by_lines(window: PoolingWindow) -> bool:
    """Whether a value lies in windows of too many rows or columns of outputs for such sums."""
    return max(window.kernel_h // window.stride_h, window.kernel_w // window.stride_w) > MOST_LINES


def is_shared(window: PoolingWindow) -> bool:
    """Whether a value lies in too many windows for such sums."""
    return (window.kernel_h // window.stride_h) * (window.kernel_w // window.stride_w) > MOST_SHARED


def mean_forward(x: Array, window: PoolingWindow, y: Array) -> None:
    """Compute `pooling.mean_forward`."""
    memory = no_memory(x.dtype)
    _mean_forward(memory, x, window, y, worker_totals(len(memory), x.shape[2]))


@worker_kernel
def _mean_forward(
    x: Array, window: PoolingWindow, y: Array, totals: Array, tasks: Tasks, _memory: Array
) -> None:
    """As `mean_forward`.  totals: (workers, W)."""
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = x.shape
    _, P, Q = y.shape
    source, out, columns = x.reshape(-1), y.reshape(-1), totals[tasks.worker]
    parts = min(planes, PARTS)
    part = take_task(tasks, parts)
    while part < parts:
        start, stop = planes_of_part(part, parts, planes)
        for n in range(start, stop):
            for p in range(P):
                h0, h1 = span(p, kernel_h, pad_h, stride_h, H)
                columns[:] = 0
                for h in range(h0, h1):
                    row = source[(n * H + h) * W : (n * H + h + 1) * W]
                    for w in range(W):
                        columns[w] += row[w]
                high = divided_length(p, kernel_h, pad_h, stride_h, H)
                for q in range(Q):
                    w0, w1 = span(q, kernel_w, pad_w, stride_w, W)
                    area = high * divided_length(q, kernel_w, pad_w, stride_w, W)
                    there = h1 > h0 and w1 > w0
                    out[(n * P + p) * Q + q] = sum_of(columns[w0:w1]) / area if there else 0.0
        part = take_task(tasks, parts)


def mean_backward(dy: Array, window: PoolingWindow, dx: Array, values: Array, slope: float) -> None:
    """Compute `pooling.mean_backward`; values: flat, empty for none."""
    memory = no_memory(dx.dtype)
    totals = worker_totals(len(memory), (dy.shape[1] + 1) * dx.shape[2])
    _mean_backward(memory, dy, window, dx, values, slope, totals)


@worker_kernel
def _mean_backward(
    dy: Array,
    window: PoolingWindow,
    dx: Array,
    values: Array,
    slope: float,
    totals: Array,
    tasks: Tasks,
    _memory: Array,
) -> None:
    """As `mean_backward`.  totals: (workers, (P + 1) * W)."""
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = dx.shape
    _, P, Q = dy.shape
    source, out = dy.reshape(-1), dx.reshape(-1)
    lines, total = totals[tasks.worker, : P * W], totals[tasks.worker, P * W :]
    parts = min(planes, PARTS)
    part = take_task(tasks, parts)
    while part < parts:
        start, stop = planes_of_part(part, parts, planes)
        for n in range(start, stop):
            lines[:] = 0
            for p in range(P):
                high = divided_length(p, kernel_h, pad_h, stride_h, H)
                for q in range(Q):
                    w0, w1 = span(q, kernel_w, pad_w, stride_w, W)
                    share = source[(n * P + p) * Q + q] / (
                        high * divided_length(q, kernel_w, pad_w, stride_w, W)
                    )
                    for w in range(p * W + w0, p * W + w1):
                        lines[w] += share
            for h in range(H):
                p0, p1 = covering(h, kernel_h, pad_h, stride_h, P)
                total[:] = 0
                for p in range(p0, p1):
                    for w in range(W):
                        total[w] += lines[p * W + w]
                out[(n * H + h) * W : (n * H + h + 1) * W] = total
            through_slope(out, n * H * W, H * W, values, slope)
        part = take_task(tasks, parts)


def index_backward(dy: Array, index: Array, dx: Array, values: Array, slope: float) -> None:
    """Compute `pooling.index_backward`; values: flat, empty for none."""
    memory = no_memory(dx.dtype)
    totals = worker_totals(len(memory), dx.shape[1] * dx.shape[2])
    _index_backward(memory, dy, index, dx, values, slope, totals)


@worker_kernel
def _index_backward(
    dy: Array,
    index: Array,
    dx: Array,
    values: Array,
    slope: float,
    all_totals: Array,
    tasks: Tasks,
    _memory: Array,
) -> None:
    """As `index_backward`.  all_totals: (workers, H W)."""
    planes, H, W = dx.shape
    outputs = dy.shape[1] * dy.shape[2]
    source, where, out = dy.reshape(-1), index.reshape(-1), dx.reshape(-1)
    totals = all_totals[tasks.worker]
    parts = min(planes, PARTS)
    part = take_task(tasks, parts)
    while part < parts:
        start, stop = planes_of_part(part, parts, planes)
        for n in range(start, stop):
            totals[:] = 0
            for o in range(n * outputs, (n + 1) * outputs):
                if where[o] >= 0:
                    totals[where[o]] += source[o]
            out[n * H * W : (n + 1) * H * W] = totals
            through_slope(out, n * H * W, H * W, values, slope)
        part = take_task(tasks, parts)
