"""Pooling over regions of interest: the maximum, or the mean, of each bin of a grid laid over each region.

Regions are rows of five: the image's number, and x1, y1, x2, y2 in the picture's pixels, the last included.
"""

import math

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel


@kernel
def _round(value: float) -> int:
    """The nearest whole number, of two the one further from 0."""
    exact = float(value)
    return math.floor(exact + 0.5) if exact >= 0 else -math.floor(0.5 - exact)


@kernel
def _bin(i: int, size: float, offset: int, limit: int) -> tuple[int, int]:
    """Where a bin begins and ends, within a map of `limit` values: floor(i size) to ceil((i + 1) size)."""
    first = math.floor(np.float32(i) * size) + offset
    last = math.ceil(np.float32(i + 1) * size) + offset
    return min(max(first, 0), limit), min(max(last, 0), limit)


@kernel
def _edges(region: Array, scale: float, pad_ratio: float) -> tuple[int, int, int, int]:
    """The region in places of the map: x1, y1, x2, y2, grown by pad_ratio of its sides at each end."""
    T = region.dtype.type
    across, down = (
        T(pad_ratio) * (region[3] - region[1] + T(1)),
        T(pad_ratio) * (region[4] - region[2] + T(1)),
    )
    x1, y1 = (region[1] - across) * T(scale), (region[2] - down) * T(scale)
    x2, y2 = (region[3] + across) * T(scale), (region[4] + down) * T(scale)
    return _round(x1), _round(y1), _round(x2), _round(y2)


@parallel_kernel
def max_forward(x: Array, regions: Array, scale: float, pad_ratio: float, y: Array, index: Array) -> None:
    """y[r, c, p, q] = max of x over the bin (p, q) of region r, 0 where it is empty.

    x: (N, C, H, W). regions: (R, 5). y: (R, C, P, Q). index: (R, C, P, Q), int32, where in its plane the
    first maximum stands; -1: nowhere.
    """
    R, C, P, Q = y.shape
    H, W = x.shape[2], x.shape[3]
    T = x.dtype.type
    for task in prange(R * C):
        r, c = np.int64(task) // C, np.int64(task) % C
        region = regions[r]
        plane = x[int(region[0]), c]
        x1, y1, x2, y2 = _edges(region, scale, pad_ratio)
        down, across = T(max(y2 - y1 + 1, 1)) / T(P), T(max(x2 - x1 + 1, 1)) / T(Q)
        for p in range(P):
            top, bottom = _bin(p, down, y1, H)
            for q in range(Q):
                left, right = _bin(q, across, x1, W)
                best, place = T(0), -1
                for h in range(top, bottom):
                    for w in range(left, right):
                        if place < 0 or plane[h, w] > best:
                            best, place = plane[h, w], h * W + w
                y[r, c, p, q], index[r, c, p, q] = best, place


@parallel_kernel
def max_backward(dy: Array, regions: Array, scale: float, pad_ratio: float, index: Array, dx: Array) -> None:
    """Add each gradient to that of its maximum, unless the region's sides are the wrong way round.

    dx: (N, C, H, W), zeros before; the rest as in `max_forward`.
    """
    R, C = dy.shape[:2]
    W = dx.shape[3]
    for channel in prange(C):
        c = np.int64(channel)
        for r in range(R):
            region = regions[r]
            plane = dx[int(region[0]), c]
            x1, y1, x2, y2 = _edges(region, scale, pad_ratio)
            if x2 < x1 or y2 < y1:
                continue
            for p in range(dy.shape[2]):
                for q in range(dy.shape[3]):
                    place = index[r, c, p, q]
                    if place >= 0:
                        plane[place // W, place % W] += dy[r, c, p, q]


@kernel
def _span(first: float, last: float, scale: float) -> tuple[float, float]:
    """Where a side begins on the map, and how long it is: 0.1 at least."""
    T = np.float32
    start, end = T(_round(first)) * T(scale), (T(_round(last)) + T(1)) * T(scale)
    return start, max(end - start, T(0.1))


@kernel
def _part(i: int, start: float, size: float, limit: int) -> tuple[int, int]:
    """Where part i of a side begins and ends, within a map of `limit` values."""
    first, last = math.floor(np.float32(i) * size + start), math.ceil(np.float32(i + 1) * size + start)
    return min(max(first, 0), limit), min(max(last, 0), limit)


@parallel_kernel
def by_place_forward(x: Array, regions: Array, scale: float, y: Array) -> None:
    """y[r, c, p, q] = mean over the bin (p, q) of region r of a channel that is for it: (c G + p) G + q.

    x: (N, C G G, H, W). regions: (R, 5). y: (R, C, G, G); 0 where a bin is empty.
    """
    R, C, G, _ = y.shape
    for task in prange(R * C):
        r, c = np.int64(task) // C, np.int64(task) % C
        region = regions[r]
        left, width = _span(region[1], region[3], scale)
        top, height = _span(region[2], region[4], scale)
        for p in range(G):
            h0, h1 = _part(p, top, height / np.float32(G), x.shape[2])
            for q in range(G):
                w0, w1 = _part(q, left, width / np.float32(G), x.shape[3])
                plane = x[int(region[0]), (c * G + p) * G + q]
                total = 0.0
                for h in range(h0, h1):
                    for w in range(w0, w1):
                        total += plane[h, w]
                count = max(h1 - h0, 0) * max(w1 - w0, 0)
                y[r, c, p, q] = total / count if count else 0.0


@parallel_kernel
def by_place_backward(dy: Array, regions: Array, scale: float, dx: Array) -> None:
    """Spread each gradient over its bin.  dx: (N, C G G, H, W), zeros before; else as `by_place_forward`."""
    R, C, G, _ = dy.shape
    for channel in prange(C * G * G):
        c, p, q = np.int64(channel) // (G * G), np.int64(channel) // G % G, np.int64(channel) % G
        for r in range(R):
            region = regions[r]
            left, width = _span(region[1], region[3], scale)
            top, height = _span(region[2], region[4], scale)
            h0, h1 = _part(p, top, height / np.float32(G), dx.shape[2])
            w0, w1 = _part(q, left, width / np.float32(G), dx.shape[3])
            if h1 <= h0 or w1 <= w0:
                continue
            share = dy[r, c, p, q] / ((h1 - h0) * (w1 - w0))
            plane = dx[int(region[0]), channel]
            for h in range(h0, h1):
                for w in range(w0, w1):
                    plane[h, w] += share
