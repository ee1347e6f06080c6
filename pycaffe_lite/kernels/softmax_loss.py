"""Multinomial logistic loss of probabilities, and its gradient through the softmax they come from.

Arrays are (N, C, inner); labels (N, inner), int32, -1 where a position does not count.
"""

import numpy as np
from numba import prange

from pycaffe_lite.kernels._jit import Array, parallel_kernel

LEAST = float(np.finfo(np.float32).tiny)  # a probability of 0 counts as this, in both types
COLUMNS = 4096  # positions of one task


@parallel_kernel
def forward(p: Array, labels: Array) -> float:
    """Compute the sum over the counting positions (n, i) of -ln max(p[n, label, i], LEAST), in float64."""
    N, _, inner = p.shape
    blocks = (inner + COLUMNS - 1) // COLUMNS
    sums = np.zeros(N * blocks)
    for task in prange(N * blocks):
        n, start = task // blocks, task % blocks * COLUMNS
        total = 0.0
        for i in range(start, min(inner, start + COLUMNS)):
            if labels[n, i] >= 0:
                total -= np.log(max(float(p[n, labels[n, i], i]), LEAST))
        sums[task] = total
    loss = 0.0
    for task in range(sums.size):
        loss += sums[task]
    return loss


@parallel_kernel
def backward(p: Array, labels: Array, scale: float, dx: Array) -> None:
    """dx[n, c, i] = scale (p[n, c, i] - [c = label]), 0 where the position does not count."""
    N, C, inner = p.shape
    T = p.dtype.type
    factor = T(scale)
    for row in prange(N * C):
        n, c = row // C, row % C
        for i in range(inner):
            label = labels[n, i]
            value = factor * (p[n, c, i] - T(label == c))
            dx[n, c, i] = value if label >= 0 else T(0)
