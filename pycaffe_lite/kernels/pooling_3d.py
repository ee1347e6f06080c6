"""Maxima and means of windows over three spatial axes, and their gradients.

Window p along an axis begins at p stride - pad. `window`: (3, 3), int64: kernel, pad and stride, each for
depth, height and width. Planes are volumes: x, (N, D, H, W), and y, (N, P, Q, R), with N for images and
channels.
"""

from typing import Any

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel


@kernel
def _range(p: int, axis: int, window: Array, size: int) -> Any:
    """Where window p begins and ends on an axis, within the volume."""
    first = p * window[2, axis] - window[1, axis]
    return max(first, 0), min(first + window[0, axis], size)


@parallel_kernel
def max_forward(x: Array, window: Array, y: Array, index: Array) -> None:
    """Put into y the maximum of each window, or the lowest float32 where it is empty.

    index: as y, int64: where in its volume the first maximum stands; -1: nowhere.
    """
    N, P, Q, R = y.shape
    D, H, W = x.shape[1:]
    lowest = x.dtype.type(np.finfo(np.float32).min)
    for n in prange(N):
        for p in range(P):
            d0, d1 = _range(p, 0, window, D)
            for q in range(Q):
                h0, h1 = _range(q, 1, window, H)
                for r in range(R):
                    w0, w1 = _range(r, 2, window, W)
                    best, place = lowest, -1
                    for d in range(d0, d1):
                        for h in range(h0, h1):
                            for w in range(w0, w1):
                                if place < 0 or x[n, d, h, w] > best:
                                    best, place = x[n, d, h, w], (d * H + h) * W + w
                    y[n, p, q, r], index[n, p, q, r] = best, place


@parallel_kernel
def max_backward(dy: Array, index: Array, dx: Array) -> None:
    """Overwrite dx: each gradient goes to the first maximum of its window."""
    N, P, Q, R = dy.shape
    H, W = dx.shape[2], dx.shape[3]
    for n in prange(N):
        dx[n] = 0
        for p in range(P):
            for q in range(Q):
                for r in range(R):
                    place = index[n, p, q, r]
                    if place >= 0:
                        dx[n, place // (H * W), place // W % H, place % W] += dy[n, p, q, r]


@parallel_kernel
def equal_backward(x: Array, y: Array, dy: Array, window: Array, dx: Array) -> None:
    """Overwrite dx: each gradient goes to every value of its window that equals the maximum."""
    N, P, Q, R = dy.shape
    D, H, W = x.shape[1:]
    for n in prange(N):
        dx[n] = 0
        for p in range(P):
            d0, d1 = _range(p, 0, window, D)
            for q in range(Q):
                h0, h1 = _range(q, 1, window, H)
                for r in range(R):
                    w0, w1 = _range(r, 2, window, W)
                    for d in range(d0, d1):
                        for h in range(h0, h1):
                            for w in range(w0, w1):
                                if x[n, d, h, w] == y[n, p, q, r]:
                                    dx[n, d, h, w] += dy[n, p, q, r]


@kernel
def _area(p: int, axis: int, window: Array, size: int, whole: bool) -> Any:
    """How long window p counts on an axis: up to the padding's end, or as a whole."""
    first = p * window[2, axis] - window[1, axis]
    end = first + window[0, axis]
    length = window[0, axis] if whole else min(end, size + window[1, axis]) - first
    return max(length, 1)


@parallel_kernel
def mean_forward(x: Array, window: Array, whole: bool, y: Array) -> None:
    """Compute y = Σ x / area of each window.  The area counts padding, and with `whole` what is beyond."""
    N, P, Q, R = y.shape
    D, H, W = x.shape[1:]
    for n in prange(N):
        for p in range(P):
            d0, d1 = _range(p, 0, window, D)
            for q in range(Q):
                h0, h1 = _range(q, 1, window, H)
                for r in range(R):
                    w0, w1 = _range(r, 2, window, W)
                    area = _area(p, 0, window, D, whole) * _area(q, 1, window, H, whole)
                    area *= _area(r, 2, window, W, whole)
                    total = 0.0
                    for d in range(d0, d1):
                        for h in range(h0, h1):
                            for w in range(w0, w1):
                                total += x[n, d, h, w]
                    y[n, p, q, r] = total / area


@parallel_kernel
def mean_backward(dy: Array, window: Array, whole: bool, dx: Array) -> None:
    """Overwrite dx: each gradient over the area is added to all values of its window."""
    N, P, Q, R = dy.shape
    D, H, W = dx.shape[1:]
    for n in prange(N):
        dx[n] = 0
        for p in range(P):
            d0, d1 = _range(p, 0, window, D)
            for q in range(Q):
                h0, h1 = _range(q, 1, window, H)
                for r in range(R):
                    w0, w1 = _range(r, 2, window, W)
                    area = _area(p, 0, window, D, whole) * _area(q, 1, window, H, whole)
                    area *= _area(r, 2, window, W, whole)
                    share = dy[n, p, q, r] / area
                    for d in range(d0, d1):
                        for h in range(h0, h1):
                            for w in range(w0, w1):
                                dx[n, d, h, w] += share
