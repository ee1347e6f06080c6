"""Values at exact places of regions of interest: ROIAlign in two forms, and ROIAlignment.

Regions are rows of five: the image's number, and x1, y1, x2, y2 in the picture's pixels.
"""

import math
from typing import Any

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel, serial_kernel

PIXELS = 4  # how many pixels make a value

# ------------------------------------------------------------ the largest of four samples of each bin


@kernel
def _clamped(value: float, low: float, high: float) -> float:
    """The value between two bounds."""
    return min(max(value, low), high)


@kernel
def _near(pixel: int, start: float, end: float, sample: float) -> float:
    """How much a pixel counts for a sample, both on an axis on which the region runs from -1 to 1."""
    T = type(start)
    place = T(0)
    if end != start:
        place = _clamped(T(2) * (T(pixel) - start) / (end - start) - T(1), T(-1), T(1))
    return max(T(1) - abs(sample - place), T(0))


@kernel
def _largest_sample(
    values: Array, first: int, H: int, W: int, region: Array, scale: float, p: int, q: int, P: int, Q: int,
    places: Array, weights: Array,
) -> Any:  # fmt: skip
    """The largest of the four samples of bin (p, q) of a region, at its quarter points.

    Each is made of the first four pixels, row by row, of those that lie in the bin, its ends included: at the
    map's end these are the pixels that come next in memory. An empty bin gives 0 at least.

    values: (count,), all planes, each H W long; first: where the region's plane begins. places: (4,), where
    these pixels are; -1: none. weights: (4,), how much each counts.
    """
    T = values.dtype.type
    x1, y1 = region[1] * T(scale), region[2] * T(scale)
    x2, y2 = region[3] * T(scale), region[4] * T(scale)
    down, across = max(y2 - y1 + T(1), T(1)) / T(P), max(x2 - x1 + T(1), T(1)) / T(Q)
    top, bottom = _clamped(T(p) * down + y1, T(0), T(H)), _clamped(T(p + 1) * down + y1, T(0), T(H))
    left, right = _clamped(T(q) * across + x1, T(0), T(W)), _clamped(T(q + 1) * across + x1, T(0), T(W))
    best, has_best = T(0), bottom <= top or right <= left
    places[:] = -1
    own, found = np.zeros(PIXELS, values.dtype), np.full(PIXELS, -1)
    for sample in range(4):
        x, y = T(sample // 2) - T(0.5), T(sample % 2) - T(0.5)
        count, value = 0, T(0)
        for h in range(math.ceil(top), math.floor(bottom) + 1):
            for w in range(math.ceil(left), math.floor(right) + 1):
                place = first + h * W + w
                if count < PIXELS:
                    own[count] = _near(w, x1, x2, x) * _near(h, y1, y2, y)
                    found[count] = place if place < len(values) else -1
                    value += values[place] * own[count] if place < len(values) else T(0)
                    count += 1
        if not has_best or value > best:
            best, has_best = value, True
            places[:], weights[:] = found, own
    return best


@parallel_kernel
def largest_forward(x: Array, regions: Array, scale: float, y: Array) -> None:
    """y[r, c, p, q] = the largest of four samples of x in the bin (p, q) of region r.

    x: (N, C, H, W). regions: (R, 5). y: (R, C, P, Q).
    """
    R, C, P, Q = y.shape
    H, W = x.shape[2], x.shape[3]
    values = x.ravel()
    for task in prange(R * C):
        r, c = np.int64(task) // C, np.int64(task) % C
        places, weights = np.empty(PIXELS, np.int64), np.empty(PIXELS, x.dtype)
        first = (int(regions[r, 0]) * C + c) * H * W
        for p in range(P):
            for q in range(Q):
                y[r, c, p, q] = _largest_sample(
                    values, first, H, W, regions[r], scale, p, q, P, Q, places, weights
                )


@serial_kernel
def largest_backward(x: Array, dy: Array, regions: Array, scale: float, dx: Array) -> None:
    """Add each gradient to those of its sample's pixels.  dx: as x, zeros before; else `largest_forward`."""
    R, C, P, Q = dy.shape
    H, W = x.shape[2], x.shape[3]
    values, slopes = x.ravel(), dx.ravel()
    places, weights = np.empty(PIXELS, np.int64), np.empty(PIXELS, x.dtype)
    for r in range(R):
        for c in range(C):
            first = (int(regions[r, 0]) * C + c) * H * W
            for p in range(P):
                for q in range(Q):
                    _largest_sample(values, first, H, W, regions[r], scale, p, q, P, Q, places, weights)
                    for k in range(PIXELS):
                        if places[k] >= 0:
                            slopes[places[k]] += dy[r, c, p, q] * weights[k]


# -------------------------------------------------------------------- samples at the corners of bins


@kernel
def _grid(first: float, last: float, pad_ratio: float, scale: float, parts: int) -> tuple[float, float]:
    """Where a side of a region begins on the map, counted from a pixel's centre; the length of a part."""
    T = type(first)
    pad = (last - first + T(1)) * T(pad_ratio)
    start, end = (first - pad) * T(scale) - T(0.5), (last + pad) * T(scale) - T(0.5)
    return start, (end - start) / T(parts)


@kernel
def _neighbours(place: float, size: int) -> tuple[int, int, float]:
    """The pixels before and behind a place of an axis, and the share of the latter; -1, -1, 0 outside."""
    T = type(place)
    if not (T(-0.5) <= place <= T(size) - T(0.5)):
        return -1, -1, T(0)
    first = math.floor(place)
    low, high = min(max(first, 0), size - 1), min(max(first + 1, 0), size - 1)
    return low, high, _clamped(place, T(0), T(size - 1)) - T(low)


@parallel_kernel
def corners_forward(x: Array, regions: Array, scale: float, pad_ratio: float, y: Array) -> None:
    """y[r, c, p, q] = x between its four pixels around the corner (p, q) of the bins of region r.

    0 outside of the map, and for a region whose sides are the wrong way round or nothing. x: (N, C, H, W).
    regions: (R, 5). y: (R, C, P + 1, Q + 1), for P x Q bins.
    """
    R, C, P, Q = y.shape
    H, W = x.shape[2], x.shape[3]
    T = x.dtype.type
    for task in prange(R * C):
        r, c = np.int64(task) // C, np.int64(task) % C
        plane = x[int(regions[r, 0]), c]
        top, down = _grid(regions[r, 2], regions[r, 4], pad_ratio, scale, P - 1)
        left, across = _grid(regions[r, 1], regions[r, 3], pad_ratio, scale, Q - 1)
        for p in range(P):
            h0, h1, lower = _neighbours(top + T(p) * down, H)
            for q in range(Q):
                w0, w1, later = _neighbours(left + T(q) * across, W)
                y[r, c, p, q] = 0
                if down > 0 and across > 0 and h0 >= 0 and w0 >= 0:
                    before = plane[h0, w0] * (T(1) - later) + plane[h0, w1] * later
                    behind = plane[h1, w0] * (T(1) - later) + plane[h1, w1] * later
                    y[r, c, p, q] = before * (T(1) - lower) + behind * lower


@parallel_kernel
def corners_backward(dy: Array, regions: Array, scale: float, pad_ratio: float, dx: Array) -> None:
    """Spread each gradient over its four pixels.  dx: as x, zeros before; else as in `corners_forward`."""
    R, C, P, Q = dy.shape
    H, W = dx.shape[2], dx.shape[3]
    T = dy.dtype.type
    for channel in prange(C):
        c = np.int64(channel)
        for r in range(R):
            plane = dx[int(regions[r, 0]), c]
            top, down = _grid(regions[r, 2], regions[r, 4], pad_ratio, scale, P - 1)
            left, across = _grid(regions[r, 1], regions[r, 3], pad_ratio, scale, Q - 1)
            if not (down > 0 and across > 0):
                continue
            for p in range(P):
                h0, h1, lower = _neighbours(top + T(p) * down, H)
                for q in range(Q):
                    w0, w1, later = _neighbours(left + T(q) * across, W)
                    if h0 < 0 or w0 < 0:
                        continue
                    g = dy[r, c, p, q]
                    plane[h0, w0] += g * (T(1) - lower) * (T(1) - later)
                    plane[h0, w1] += g * (T(1) - lower) * later
                    plane[h1, w0] += g * lower * (T(1) - later)
                    plane[h1, w1] += g * lower * later


# ------------------------------------------------------------ values at the centres of bins


@kernel
def _centre(
    i: int, first: float, last: float, scale: float, parts: int, limit: int
) -> tuple[int, int, float]:
    """Around the centre of part i of a side, cut at the map's ends: two pixels, and the share of the second.

    first, last: of the region's side, in the picture's pixels. limit: the map's length.
    """
    T = type(first)
    start = first * T(scale)
    size = max(last * T(scale) - start + T(1), T(1)) / T(parts)
    low = _clamped(T(i) * size + start, T(0), T(limit - 1))
    high = _clamped(T(i + 1) * size + start, T(0), T(limit - 1))
    centre = (low + high) / T(2)
    before = math.floor(centre)
    return before, min(before + 1, limit - 1), centre - T(before)


@parallel_kernel
def centres_forward(x: Array, regions: Array, scale: float, y: Array) -> None:
    """y[r, c, p, q] = x between its four pixels around the centre of the bin (p, q) of region r.

    x: (N, C, H, W). regions: (R, 5). y: (R, C, P, Q).
    """
    R, C, P, Q = y.shape
    H, W = x.shape[2], x.shape[3]
    T = x.dtype.type
    for task in prange(R * C):
        r, c = np.int64(task) // C, np.int64(task) % C
        plane = x[int(regions[r, 0]), c]
        for p in range(P):
            h0, h1, lower = _centre(p, regions[r, 2], regions[r, 4], scale, P, H)
            for q in range(Q):
                w0, w1, later = _centre(q, regions[r, 1], regions[r, 3], scale, Q, W)
                before = plane[h0, w0] * (T(1) - later) + plane[h0, w1] * later
                behind = plane[h1, w0] * (T(1) - later) + plane[h1, w1] * later
                y[r, c, p, q] = before * (T(1) - lower) + behind * lower


@parallel_kernel
def centres_backward(dy: Array, regions: Array, scale: float, dx: Array) -> None:
    """Spread each gradient over its four pixels.  dx: as x, zeros before; else as in `centres_forward`."""
    R, C, P, Q = dy.shape
    H, W = dx.shape[2], dx.shape[3]
    T = dy.dtype.type
    for channel in prange(C):
        c = np.int64(channel)
        for r in range(R):
            plane = dx[int(regions[r, 0]), c]
            for p in range(P):
                h0, h1, lower = _centre(p, regions[r, 2], regions[r, 4], scale, P, H)
                for q in range(Q):
                    w0, w1, later = _centre(q, regions[r, 1], regions[r, 3], scale, Q, W)
                    g = dy[r, c, p, q]
                    plane[h0, w0] += g * (T(1) - lower) * (T(1) - later)
                    plane[h0, w1] += g * (T(1) - lower) * later
                    plane[h1, w0] += g * lower * (T(1) - later)
                    plane[h1, w1] += g * lower * later
