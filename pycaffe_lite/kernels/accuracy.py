"""How many labels are among the k best scores."""

import numpy as np
from numba import prange

from pycaffe_lite.kernels._jit import Array, parallel_kernel

COLUMNS = 256  # positions of one task


@parallel_kernel
def count(x: Array, labels: Array, top_k: int, correct: Array, counted: Array) -> None:
    """Count, per class, the positions that have it as label, and those of them that are correct.

    Correct: fewer than top_k other classes have a score of at least the label's, so ties count against it;
    NaN as the label's score counts as correct.

    x: (N, C, inner). labels: (N, inner), int32, -1 where a position does not count.
    correct, counted: (C,), int64, overwritten.
    """
    N, C, inner = x.shape
    blocks = (inner + COLUMNS - 1) // COLUMNS
    hits, seen = np.zeros((N * blocks, C), np.int64), np.zeros((N * blocks, C), np.int64)
    for task in prange(N * blocks):
        n, start = task // blocks, task % blocks * COLUMNS
        width = min(inner, start + COLUMNS) - start
        score = np.empty(width, x.dtype)
        others = np.zeros(width, np.int32)  # with a score at least as good
        for i in range(width):
            score[i] = x[n, max(labels[n, start + i], 0), start + i]
            others[i] -= score[i] == score[i]  # the label itself, found below
        for c in range(C):
            row = x[n, c, start : start + width]
            for i in range(width):
                others[i] += row[i] >= score[i]
        for i in range(width):
            label = labels[n, start + i]
            if label >= 0:
                seen[task, label] += 1
                hits[task, label] += others[i] < top_k
    correct[:] = 0
    counted[:] = 0
    for task in range(N * blocks):
        for c in range(C):
            correct[c] += hits[task, c]
            counted[c] += seen[task, c]
