"""Pooling of planes: maxima, means, stochastic choice; forward and backward.

A window covers the rows p * stride_h - pad_h, .. of a plane (and the columns alike), as far as they are
inside the plane; it may be empty. x: (planes, H, W); y: (planes, P, Q); indices: of y's shape, int32, h * W +
w within the plane, -1 for none. Each plane is one task's alone.

The runs of outputs whose windows lie inside along the width go through `_runs`, the others one by one.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from pycaffe_lite.kernels._jit import Array, kernel, parallel_kernel
from pycaffe_lite.kernels._runs import LEAST_RUN, max_run, sum_run

LOWEST = float(np.finfo(np.float32).min)  # where maxima start, in both types; an empty window has no other
PARTS = 64  # tasks at most: working rows are allocated once for each


class Window(NamedTuple):
    """Sizes of a pooling window."""

    kernel_h: int
    kernel_w: int
    pad_h: int
    pad_w: int
    stride_h: int
    stride_w: int


@kernel
def _part(part: int, parts: int, planes: int) -> tuple[int, int]:
    return part * planes // parts, (part + 1) * planes // parts


@kernel
def _span(o: int, kernel: int, pad: int, stride: int, size: int) -> tuple[int, int]:
    """First and last + 1 of the values under window o along one axis; empty where the last is not above."""
    start = o * stride - pad
    return max(start, 0), min(start + kernel, size)


@kernel
def _area(o: int, kernel: int, pad: int, stride: int, size: int) -> int:
    """Length of window o along one axis by which a mean divides: padding counts, on either side once."""
    start = o * stride - pad
    return min(start + kernel, size + pad) - start


@kernel
def _run(kernel: int, pad: int, stride: int, size: int, outputs: int) -> tuple[int, int]:
    """The outputs, from the first to the last + 1, that a vector loop takes: windows wholly inside."""
    first = min((pad + stride - 1) // stride, outputs)
    last = min((size - kernel + pad) // stride + 1, outputs) if size + pad >= kernel else first
    return (first, last) if stride <= 2 and last - first >= LEAST_RUN else (0, 0)


# --------------------------------------------------------------------------------------------------- maxima


@kernel
def _max_at(x: Array, at: int, W: int, h0: int, h1: int, w0: int, w1: int) -> tuple[float, int]:
    """The first maximum of x[at + h * W + w] in the window, and its h * W + w."""
    best, where = x.dtype.type(LOWEST), -1
    for h in range(h0, h1):
        for w in range(w0, w1):
            if x[at + h * W + w] > best:
                best, where = x[at + h * W + w], h * W + w
    return best, where


def max_forward(x: Array, window: Window, y: Array, index: Array | None) -> None:
    """Compute y = the maximum of each window, LOWEST where it is empty or nothing is above that.

    index: where it is, the first in row order of equal ones; None: not wanted.
    """
    _max_forward(x, window, y, None if index is None else index.reshape(-1))


@parallel_kernel
def _max_forward(x: Array, window: Window, y: Array, index: Array | None) -> None:
    """As `max_forward`; index: flat."""
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = x.shape
    _, P, Q = y.shape
    lowest = x.dtype.type(LOWEST)
    source, out = x.reshape(-1), y.reshape(-1)
    first, last = _run(kernel_w, pad_w, stride_w, W, Q)
    parts = min(planes, PARTS)
    for part in prange(parts):
        start, stop = _part(part, parts, planes)
        for row in range(start * P, stop * P):
            at, to = row // P * H * W, row * Q
            h0, h1 = _span(row % P, kernel_h, pad_h, stride_h, H)
            if first < last:
                w = first * stride_w - pad_w
                max_run(
                    source, at + h0 * W + w, W, max(h1 - h0, 0), kernel_w, stride_w, last - first, lowest,
                    out, to + first, index, h0 * W + w,
                )  # fmt: skip
            for q in range(Q - (last - first)):
                if q >= first:
                    q += last - first
                w0, w1 = _span(q, kernel_w, pad_w, stride_w, W)
                value, where = _max_at(source, at, W, h0, h1, w0, w1)
                out[to + q] = value
                if index is not None:
                    index[to + q] = where


@parallel_kernel
def index_backward(dy: Array, index: Array, dx: Array) -> None:
    """dx[n, index] += dy, from 0, for all outputs that have an index."""
    planes, P, Q = dy.shape
    size = dx.shape[1] * dx.shape[2]
    source, where, out = dy.reshape(-1), index.reshape(-1), dx.reshape(-1)
    for n in prange(planes):
        at = n * size
        out[at : at + size] = 0
        for o in range(n * P * Q, (n + 1) * P * Q):
            if where[o] >= 0:
                out[at + where[o]] += source[o]


# ---------------------------------------------------------------------------------------------------- means


# reassoc: lets the sum of one window run in vector lanes, in an order that does not depend on threads.
@kernel(fastmath={"reassoc", "nsz"})
def _sum_at(x: Array, at: int, W: int, h0: int, h1: int, w0: int, w1: int) -> float:
    total: float = x.dtype.type(0)
    if w1 - w0 == W:  # whole rows are one piece
        piece = x[at + h0 * W : at + h1 * W]
        for i in range(piece.size):
            total += piece[i]
        return total
    for h in range(h0, h1):
        piece = x[at + h * W + w0 : at + h * W + w1]
        for i in range(piece.size):
            total += piece[i]
    return total


@parallel_kernel
def mean_forward(x: Array, window: Window, y: Array) -> None:
    """Compute y = the sum of each window over its area, 0 where it is empty; for the area see `_area`."""
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = x.shape
    _, P, Q = y.shape
    T = x.dtype.type
    source, out = x.reshape(-1), y.reshape(-1)
    first, last = _run(kernel_w, pad_w, stride_w, W, Q)
    parts = min(planes, PARTS)
    for part in prange(parts):
        start, stop = _part(part, parts, planes)
        for row in range(start * P, stop * P):
            at, to, p = row // P * H * W, row * Q, row % P
            h0, h1 = _span(p, kernel_h, pad_h, stride_h, H)
            high = _area(p, kernel_h, pad_h, stride_h, H)
            if h1 <= h0:
                out[to : to + Q] = 0
                continue
            if first < last:
                w = first * stride_w - pad_w
                sum_run(
                    source, at + h0 * W + w, W, h1 - h0, kernel_w, stride_w, last - first, out, to + first
                )
                run, area = out[to + first : to + last], T(high * kernel_w)
                for i in range(run.size):
                    run[i] /= area
            for q in range(Q - (last - first)):
                if q >= first:
                    q += last - first
                w0, w1 = _span(q, kernel_w, pad_w, stride_w, W)
                total = T(0)
                if w1 > w0:
                    area = T(high * _area(q, kernel_w, pad_w, stride_w, W))
                    total = _sum_at(source, at, W, h0, h1, w0, w1) / area
                out[to + q] = total


@parallel_kernel
def mean_backward(dy: Array, window: Window, dx: Array) -> None:
    """Compute dx = the sum of dy / area over the windows that hold the value."""
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = dx.shape
    _, P, Q = dy.shape
    T = dx.dtype.type
    source, out = dy.reshape(-1), dx.reshape(-1)
    parts = min(planes, PARTS)
    for part in prange(parts):
        start, stop = _part(part, parts, planes)
        out[start * H * W : stop * H * W] = 0
        line = np.empty(W, dx.dtype)  # what the windows of one row of outputs give to each row under them
        for row in range(start * P, stop * P):
            at, to, p = row // P * H * W, row * Q, row % P
            h0, h1 = _span(p, kernel_h, pad_h, stride_h, H)
            high = _area(p, kernel_h, pad_h, stride_h, H)
            if h1 <= h0:
                continue
            line[:] = 0
            for q in range(Q):
                w0, w1 = _span(q, kernel_w, pad_w, stride_w, W)
                if w1 > w0:
                    share = source[to + q] / T(high * _area(q, kernel_w, pad_w, stride_w, W))
                    piece = line[w0:w1]
                    for i in range(piece.size):
                        piece[i] += share
            for h in range(h0, h1):
                piece = out[at + h * W : at + (h + 1) * W]
                for w in range(W):
                    piece[w] += line[w]


# --------------------------------------------------------------------------------------------- stochastic


@kernel
def _chosen(x: Array, at: int, W: int, h0: int, h1: int, w0: int, w1: int, part: float) -> int:
    """Where the running sum reaches `part` of the whole: h * W + w; -1 for an empty window."""
    total, running = x.dtype.type(0), x.dtype.type(0)
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
def sample_forward(x: Array, window: Window, draws: Array, y: Array, index: Array) -> None:
    """Compute y = a value of each window, taken in proportion to it; 0 where the window is empty.

    draws: of y's shape, uniform on [0, 1]. index: where the value is.
    """
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = x.shape
    _, P, Q = y.shape
    source = x.reshape(-1)
    for n in prange(planes):
        for p in range(P):
            h0, h1 = _span(p, kernel_h, pad_h, stride_h, H)
            for q in range(Q):
                w0, w1 = _span(q, kernel_w, pad_w, stride_w, W)
                where = _chosen(source, n * H * W, W, h0, h1, w0, w1, draws[n, p, q])
                index[n, p, q] = where
                y[n, p, q] = source[n * H * W + where] if where >= 0 else 0


@kernel
def _weighted_at(x: Array, at: int, W: int, h0: int, h1: int, w0: int, w1: int) -> tuple[float, float]:
    """Sum of the values of a window, and their mean weighted by themselves (0 for a sum of 0 and less)."""
    total, squares = x.dtype.type(0), x.dtype.type(0)
    for h in range(h0, h1):
        for w in range(w0, w1):
            value = x[at + h * W + w]
            total += value
            squares += value * value
    return total, squares / total if total > 0 else x.dtype.type(0)


@parallel_kernel
def weighted_forward(x: Array, window: Window, y: Array) -> None:
    """Compute y = sum of x² / sum of x over each window, what `sample_forward` gives on average.

    0 for a sum of 0 and less.
    """
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = x.shape
    _, P, Q = y.shape
    source = x.reshape(-1)
    for n in prange(planes):
        for p in range(P):
            h0, h1 = _span(p, kernel_h, pad_h, stride_h, H)
            for q in range(Q):
                w0, w1 = _span(q, kernel_w, pad_w, stride_w, W)
                y[n, p, q] = _weighted_at(source, n * H * W, W, h0, h1, w0, w1)[1]


@parallel_kernel
def weighted_backward(x: Array, dy: Array, window: Window, dx: Array) -> None:
    """Compute dx = the sum of dy (2 x - y) / (sum of x) over the windows that hold the value."""
    kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w = window
    planes, H, W = x.shape
    _, P, Q = dy.shape
    source = x.reshape(-1)
    for n in prange(planes):
        dx[n] = 0
        for p in range(P):
            h0, h1 = _span(p, kernel_h, pad_h, stride_h, H)
            for q in range(Q):
                w0, w1 = _span(q, kernel_w, pad_w, stride_w, W)
                total, mean = _weighted_at(source, n * H * W, W, h0, h1, w0, w1)
                if total > 0:
                    share = dy[n, p, q] / total
                    for h in range(h0, h1):
                        for w in range(w0, w1):
                            dx[n, h, w] += share * (x[n, h, w] + x[n, h, w] - mean)
