"""Infogain loss of probabilities, and its gradient through the softmax they come from.

Arrays are (N, C, inner). labels: (N, inner), int32, -1 for a position that does not count. H: (C, C).
"""

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel

LEAST = float(np.float32(1e-20))  # smaller probabilities count as this, in both types
COLUMNS = 1024  # positions of one task


@kernel
def _part(p: Array, n: int, start: int, stop: int, labels: Array, H: Array) -> float:
    """The sum of `forward` over the positions (n, start) up to (n, stop)."""
    T = p.dtype.type
    total = 0.0
    for c in range(p.shape[1]):
        for i in range(start, stop):
            if labels[n, i] >= 0:
                total -= np.float64(H[labels[n, i], c]) * np.log(max(p[n, c, i], T(LEAST)))
    return total


@parallel_kernel
def forward(p: Array, labels: Array, H: Array) -> float:
    """The sum over n, i, c of -H[label, c] ln max(p[n, c, i], LEAST), in float64."""
    N, _, inner = p.shape
    blocks = (inner + COLUMNS - 1) // COLUMNS
    sums = np.empty(N * blocks)
    for task in prange(N * blocks):
        n, start = task // blocks, task % blocks * COLUMNS
        stop = min(inner, start + COLUMNS)
        sums[task] = _part(p, n, start, stop, labels, H)
    loss = 0.0
    for task in range(N * blocks):
        loss += sums[task]
    return loss


@parallel_kernel
def backward(p: Array, labels: Array, H: Array, totals: Array, scale: float, dx: Array) -> None:
    """dx[n, c, i] = scale (p[n, c, i] totals[label] - H[label, c]), 0 at a position that does not count.

    totals: (C,), the sums of the rows of H.
    """
    N, C, inner = p.shape
    T = p.dtype.type
    factor = T(scale)
    for row in prange(N * C):
        n, c = row // C, row % C
        for i in range(inner):
            label = labels[n, i]
            dx[n, c, i] = factor * (p[n, c, i] * totals[label] - H[label, c]) if label >= 0 else T(0)
