"""Pooling of planes: maxima, means, stochastic choice; forward and backward.

A window covers the rows p * stride_h - pad_h, .. of a plane (and the columns alike), as far as they are
inside the plane; it may be empty. x: (planes, H, W); y: (planes, P, Q); indices: of y's shape, int32, h * W +
w within the plane, -1 for none. No two tasks share a plane. The gradients of maxima and means can go on
through the leaky ReLU that x came from while they are in the cache: with `values`, (planes, H, W) as x, they
are multiplied by `slope` where `values` is not positive.

`simd.runs` computes rows of outputs, for maxima from a padded copy of the plane if necessary; `simd.gather`
computes gradients of maxima for windows of the usual sizes. `pooling.large_windows` handles large windows.
"""

import numpy as np
from numba import prange

from pycaffe_lite.kernels.pooling import large_windows
from pycaffe_lite.kernels.pooling.windows import (
    PARTS,
    PoolingWindow,
    covering,
    divided_length,
    planes_of_part,
    span,
    through_slope,
)
from pycaffe_lite.kernels.runtime.decorators import (
    Array,
    Tasks,
    get_num_threads,
    kernel,
    parallel_kernel,
    take_task,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.scratch import no_memory, worker_memory
from pycaffe_lite.kernels.simd.copies import copy_exact
from pycaffe_lite.kernels.simd.gather import LANES, gather_plane
from pycaffe_lite.kernels.simd.runs import LEAST_RUN, add_lines, max_rows, mean_run, spread_run
from pycaffe_lite.kernels.simd.sums import sum_of
from pycaffe_lite.kernels.simd.vectors import keep_small

# Maxima start from it, in both types; it is the maximum of an empty window.
LOWEST = float(np.finfo(np.float32).min)
__all__ = [
    "PoolingWindow", "index_backward", "max_forward", "mean_backward", "mean_forward", "sample_forward",
    "weighted_backward", "weighted_forward",
]  # fmt: skip

# The type of an index that is not negative: Numba lets others count from the end, which costs time.
unsigned = np.uintp


def _padded_width(window: PoolingWindow, W: int, Q: int) -> int:
    """The length of a row with all that its windows cover, padding and overhang; W if all of that is inside.

    0 if `simd.runs` does not compute the rows of outputs: for short ones, and for strides above 2.
    """
    if window.stride_w > 2 or Q < LEAST_RUN:
        return 0
    return max((Q - 1) * window.stride_w + window.kernel_w, window.pad_w + W)


@kernel
def _padded(plane: Array, W: int, pad: int, width: int, space: Array) -> Array:
    """The plane itself or, if width exceeds W, a copy of it within the wider rows of `space`."""
    keep_small()
    if width <= W:
        return plane
    for h in range(plane.size // W):
        copy_exact(plane, h * W, space, h * width + pad, W)
    return space


# --------------------------------------------------------------------------------------------------- maxima


@kernel
def _max_at(x: Array, at: int, W: int, h0: int, h1: int, w0: int, w1: int) -> tuple[float, int]:
    """The first maximum of x[at + h * W + w] in the window, and its h * W + w."""
    keep_small()
    best, where = x.dtype.type(LOWEST), -1
    for h in range(h0, h1):
        for w in range(w0, w1):
            value = x[unsigned(at + h * W + w)]
            if value > best:
                best, where = value, h * W + w
    return best, where


def max_forward(x: Array, window: PoolingWindow, y: Array, index: Array | None) -> None:
    """Compute y = the maximum of each window, LOWEST where it is empty or nothing is above that.

    index: takes the place of each maximum, of equal ones the first in row order; None if not wanted.
    """
    width = _padded_width(window, x.shape[2], y.shape[2])
    memory = worker_memory(x.dtype, get_num_threads(), x.shape[1] * width)
    flat_index = np.empty(0, np.int32) if index is None else index.reshape(-1)
    _max_forward(memory, x, window, width, y, flat_index)


@worker_kernel
def _max_forward(
    x: Array, window: PoolingWindow, width: int, y: Array, index: Array, tasks: Tasks, memory: Array
) -> None:
    """As `max_forward`; width: `_padded_width`; index: flat, empty if not wanted. memory: (H * width,)."""
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = x.shape
    _, P, Q = y.shape
    lowest = x.dtype.type(LOWEST)
    source, out = x.reshape(-1), y.reshape(-1)
    space = memory[: H * width if width > W else 0]
    space[:] = lowest
    # The rows whose windows are whole.
    first_whole = (pad_h + stride_h - 1) // stride_h
    last_whole = min(P, (H - kernel_h + pad_h) // stride_h + 1)
    parts = min(planes, PARTS)
    part = take_task(tasks, parts)
    while part < parts:
        start, stop = planes_of_part(part, parts, planes)
        for n in range(start, stop):
            plane = _padded(source[n * H * W : (n + 1) * H * W], W, pad_w, width, space)
            p = 0
            while p < P:
                to = (n * P + p) * Q
                h0, h1 = span(p, kernel_h, pad_h, stride_h, H)
                rows = max(1, last_whole - p) if p >= first_whole and width > 0 else 1
                start, place = h0 * width, h0 * W - pad_w
                sizes = width, max(h1 - h0, 0), kernel_w, stride_h, stride_w, rows, Q, lowest
                if width > 0 and index.size > 0:
                    max_rows(plane, start, *sizes, out, to, index, place, W)
                elif width > 0:
                    max_rows(plane, start, *sizes, out, to, None, place, W)
                else:
                    for q in range(Q):
                        w0, w1 = span(q, kernel_w, pad_w, stride_w, W)
                        out[to + q], where = _max_at(plane, 0, W, h0, h1, w0, w1)
                        if index.size > 0:
                            index[to + q] = where
                p += rows
        part = take_task(tasks, parts)


@kernel(inline="always")  # a call takes as long as a third of a small plane
def _scatter(dy: Array, index: Array, at: int, outputs: int, dx: Array, to: int, size: int) -> None:
    """dx[to + index] += dy, from 0, for the outputs of one plane."""
    dx[to : to + size] = 0
    for o in range(unsigned(at), unsigned(at + outputs)):
        if index[o] >= 0:
            dx[unsigned(to + index[o])] += dy[o]


def _values(values: Array | None, dx: Array) -> Array:
    return np.empty(0, dx.dtype) if values is None else values.reshape(-1)


def index_backward(
    dy: Array, index: Array, window: PoolingWindow, dx: Array, values: Array | None = None, slope: float = 1.0
) -> None:
    """dx[n, index] = the sum of dy over the outputs that have an index, each of a place in its window."""
    end = _values(values, dx), dx.dtype.type(slope)
    if large_windows.is_shared(window):
        large_windows.index_backward(dy, index, dx, *end)
        return
    gathers = (
        window[:2] in ((2, 2), (3, 3))
        and window[4:] == (2, 2)
        and min(dx.shape[1], *dy.shape[1:]) >= 2
        and dx.shape[2] >= 2 * LANES
        and target().vector_bytes >= 32  # with narrower vectors it takes longer than to scatter
    )
    _index_backward(no_memory(dy.dtype), dy, index, window, gathers, dx, *end)


@worker_kernel
def _index_backward(
    dy: Array, index: Array, window: PoolingWindow, gathers: bool, dx: Array, values: Array, slope: float,
    tasks: Tasks, _memory: Array,
) -> None:  # fmt: skip
    """As `index_backward`; gathers: whether `gather_plane` supports such windows.

    `gather_plane` reads beyond the plane, so planes at the ends of the arrays are scattered.
    """
    planes, P, Q = dy.shape
    _, H, W = dx.shape
    source, where, out = dy.reshape(-1), index.reshape(-1), dx.reshape(-1)
    kernel, _, pad_h, pad_w, _, _ = window
    after = (H + pad_h) // 2 * Q + (W + pad_w) // 2
    parts = min(planes, PARTS)
    part = take_task(tasks, parts)
    while part < parts:
        start, stop = planes_of_part(part, parts, planes)
        for n in range(start, stop):
            at, to = n * P * Q, n * H * W
            if gathers and 0 < at < source.size - after:
                gather_plane(source, where, at, Q, kernel, pad_h, pad_w, out, to, H, W)
            else:
                _scatter(source, where, at, P * Q, out, to, H * W)
            through_slope(out, to, H * W, values, slope)
        part = take_task(tasks, parts)


# ---------------------------------------------------------------------------------------------------- means


@kernel
def _sum_at(x: Array, at: int, W: int, h0: int, h1: int, w0: int, w1: int) -> float:
    """The sum of x[at + h * W + w] in the window, in float64."""
    if w1 - w0 == W:  # whole rows are one piece
        return sum_of(x[at + h0 * W : at + h1 * W])
    total = 0.0
    for h in range(h0, h1):
        total += sum_of(x[at + h * W + w0 : at + h * W + w1])
    return total


@kernel
def _area_widths(window: PoolingWindow, W: int, widths: Array) -> Array:
    """The length of each window along a row; infinite for empty ones, so that their means become 0."""
    for q in range(widths.size):
        w0, w1 = span(q, window.kernel_w, window.pad_w, window.stride_w, W)
        area = divided_length(q, window.kernel_w, window.pad_w, window.stride_w, W)
        widths[q] = area if w1 > w0 else np.inf
    return widths


@kernel(inline="always")  # a call takes longer than adding a few short lines
def _add_any_lines(x: Array, at: int, line: int, lines: int, count: int, y: Array, to: int) -> None:
    """As `add_lines`, for any count."""
    if count >= LEAST_RUN:
        add_lines(x, at, line, lines, count, y, to)
    else:
        for o in range(count):
            total = x.dtype.type(0)
            for i in range(lines):
                total += x[at + i * line + o]
            y[to + o] = total


def mean_forward(x: Array, window: PoolingWindow, y: Array) -> None:
    """Compute y = the sum of each window over its area, 0 where it is empty; see `divided_length`.

    Columns are added first, in lines as wide as the plane, and then neighbours in these sums; large windows
    are summed in float64.
    """
    if large_windows.is_large_mean(window):
        large_windows.mean_forward(x, window, y)
        return
    P, Q = y.shape[1:]
    width = _padded_width(window, x.shape[2], Q)
    memory = worker_memory(x.dtype, get_num_threads(), P * width + Q)
    _mean_forward(memory, x, window, width, y)


@worker_kernel
def _mean_forward(x: Array, window: PoolingWindow, width: int, y: Array, tasks: Tasks, memory: Array) -> None:
    """As `mean_forward`; width: see `_padded_width`. memory: (P * width + Q,)."""
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = x.shape
    _, P, Q = y.shape
    T = x.dtype.type
    source, out = x.reshape(-1), y.reshape(-1)
    # The sums of one plane's columns, with zeros for padding and overhang.
    sums = memory[: P * width]
    sums[:] = 0
    widths = _area_widths(window, W, memory[P * width : P * width + Q])
    parts = min(planes, PARTS)
    part = take_task(tasks, parts)
    while part < parts:
        start, stop = planes_of_part(part, parts, planes)
        for n in range(start, stop):
            for p in range(P if width > 0 else 0):
                h0, h1 = span(p, kernel_h, pad_h, stride_h, H)
                _add_any_lines(source, (n * H + h0) * W, W, max(h1 - h0, 0), W, sums, p * width + pad_w)
            for p in range(P):
                to = (n * P + p) * Q
                h0, h1 = span(p, kernel_h, pad_h, stride_h, H)
                if h1 <= h0:
                    out[to : to + Q] = 0
                    continue
                high = T(divided_length(p, kernel_h, pad_h, stride_h, H))
                if width > 0:
                    mean_run(sums, p * width, kernel_w, stride_w, Q, high, widths, out, to)
                    continue
                for q in range(Q):
                    w0, w1 = span(q, kernel_w, pad_w, stride_w, W)
                    out[to + q] = _sum_at(source, n * H * W, W, h0, h1, w0, w1) / (high * widths[q])
        part = take_task(tasks, parts)


def mean_backward(
    dy: Array, window: PoolingWindow, dx: Array, values: Array | None = None, slope: float = 1.0
) -> None:
    """Compute dx = the sum of dy / area over the windows that hold the value.

    Each row of outputs is spread over a line as wide as the plane with its padding. Then, for each row of the
    plane, the lines of the windows that hold it are added, in float64 if they are many.
    """
    end = _values(values, dx), dx.dtype.type(slope)
    if large_windows.is_shared_by_lines(window):
        large_windows.mean_backward(dy, window, dx, *end)
        return
    P, Q = dy.shape[1:]
    # Shares lie between zeros, which stand for windows before the first one and after the last one.
    reach = (window.kernel_w - 1) // window.stride_w
    blocks = max(-(-(dx.shape[2] + window.pad_w) // window.stride_w), LEAST_RUN)
    room, width = reach + max(Q, blocks), max(Q + reach, blocks) * window.stride_w
    memory = worker_memory(dx.dtype, get_num_threads(), P * (room + width) + Q)
    _mean_backward(memory, dy, window, reach, blocks, room, width, dx, *end)


@worker_kernel
def _mean_backward(
    dy: Array, window: PoolingWindow, reach: int, blocks: int, room: int, width: int, dx: Array,
    values: Array, slope: float, tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """As `mean_backward`. memory: (P * (room + width) + Q,)."""
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = dx.shape
    _, P, Q = dy.shape
    T = dx.dtype.type
    source, out = dy.reshape(-1), dx.reshape(-1)
    shares, lines = memory[: P * room], memory[P * room : P * (room + width)]
    memory[: P * (room + width)] = 0
    widths = _area_widths(window, W, memory[P * (room + width) : P * (room + width) + Q])
    parts = min(planes, PARTS)
    part = take_task(tasks, parts)
    while part < parts:
        start, stop = planes_of_part(part, parts, planes)
        # Each step runs over a whole plane: vectors that were just stored in pieces are slow to load.
        for n in range(start, stop):
            for p in range(P):
                to, at = (n * P + p) * Q, p * room + reach
                high = T(divided_length(p, kernel_h, pad_h, stride_h, H))
                if Q >= LEAST_RUN:
                    mean_run(source, to, 1, 1, Q, high, widths, shares, at)
                    continue
                for q in range(Q):
                    shares[at + q] = source[to + q] / (high * widths[q])
            for p in range(P):
                at = p * room + reach
                if stride_w <= 2:
                    spread_run(shares, at, reach + 1, kernel_w // 2, stride_w, blocks, lines, p * width)
                    continue
                line = lines[p * width : (p + 1) * width]
                line[:] = 0
                for j in range(kernel_w):
                    for q in range(Q):
                        line[unsigned(q * stride_w + j)] += shares[at + q]
            for h in range(H):
                p0, p1 = covering(h, kernel_h, pad_h, stride_h, P)
                _add_any_lines(lines, p0 * width + pad_w, width, max(p1 - p0, 0), W, out, (n * H + h) * W)
            through_slope(out, n * H * W, H * W, values, slope)
        part = take_task(tasks, parts)


# --------------------------------------------------------------------------------------------- stochastic


@kernel
def _chosen(x: Array, at: int, W: int, h0: int, h1: int, w0: int, w1: int, part: float) -> int:
    """Where the running sum reaches `part` of the whole: h * W + w; -1 for an empty window."""
    total, running = 0.0, 0.0
    for h in range(h0, h1):
        for w in range(w0, w1):
            total += x[at + h * W + w]
    for h in range(h0, h1):
        for w in range(w0, w1):
            running += x[at + h * W + w]
            if running >= part * total:
                return h * W + w
    return (h1 - 1) * W + w1 - 1 if h1 > h0 and w1 > w0 else -1


@parallel_kernel
def sample_forward(x: Array, window: PoolingWindow, draws: Array, y: Array, index: Array) -> None:
    """Compute y = a value of each window, taken in proportion to it; 0 where the window is empty.

    draws: of y's shape, uniform on [0, 1]. index: takes the place of the value.
    """
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = x.shape
    _, P, Q = y.shape
    source = x.reshape(-1)
    for n in prange(planes):
        for p in range(P):
            h0, h1 = span(p, kernel_h, pad_h, stride_h, H)
            for q in range(Q):
                w0, w1 = span(q, kernel_w, pad_w, stride_w, W)
                where = _chosen(source, n * H * W, W, h0, h1, w0, w1, draws[n, p, q])
                index[n, p, q] = where
                y[n, p, q] = source[n * H * W + where] if where >= 0 else 0


@kernel
def _weighted_at(x: Array, at: int, W: int, h0: int, h1: int, w0: int, w1: int) -> tuple[float, float]:
    """Sum of the values of a window, and their mean weighted by themselves (0 for a sum of 0 and less)."""
    total, squares = 0.0, 0.0
    for h in range(h0, h1):
        for w in range(w0, w1):
            value = np.float64(x[at + h * W + w])
            total += value
            squares += value * value
    return total, squares / total if total > 0 else 0.0


@parallel_kernel
def weighted_forward(x: Array, window: PoolingWindow, y: Array) -> None:
    """Compute y = sum of x² / sum of x over each window, what `sample_forward` gives on average.

    0 for a sum of 0 and less.
    """
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = x.shape
    _, P, Q = y.shape
    source = x.reshape(-1)
    for n in prange(planes):
        for p in range(P):
            h0, h1 = span(p, kernel_h, pad_h, stride_h, H)
            for q in range(Q):
                w0, w1 = span(q, kernel_w, pad_w, stride_w, W)
                y[n, p, q] = _weighted_at(source, n * H * W, W, h0, h1, w0, w1)[1]


@parallel_kernel
def weighted_backward(x: Array, dy: Array, window: PoolingWindow, dx: Array) -> None:
    """Compute dx = the sum of dy (2 x - y) / (sum of x) over the windows that hold the value."""
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = x.shape
    _, P, Q = dy.shape
    source = x.reshape(-1)
    for n in prange(planes):
        total_dx = np.zeros((H, W))
        for p in range(P):
            h0, h1 = span(p, kernel_h, pad_h, stride_h, H)
            for q in range(Q):
                w0, w1 = span(q, kernel_w, pad_w, stride_w, W)
                total, mean = _weighted_at(source, n * H * W, W, h0, h1, w0, w1)
                if total > 0:
                    share = dy[n, p, q] / total
                    for h in range(h0, h1):
                        for w in range(w0, w1):
                            total_dx[h, w] += share * (x[n, h, w] + x[n, h, w] - mean)
        dx[n] = total_dx
