"""Cross entropy of targets and the logistic sigmoid of scores, and its gradient; flat arrays."""

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel
from pycaffe_lite.kernels.simd.math import exp, sigmoid

BLOCK = 4096  # numbers of one task


@kernel
def _counts(target: float, ignore: bool, ignored: int) -> bool:
    """Whether a target counts: Caffe drops its fraction and compares it with `ignored`."""
    return not (ignore and np.trunc(target) == ignored)


@kernel
def _part(x: Array, t: Array, ignore: bool, ignored: int) -> tuple[float, int]:
    T = x.dtype.type
    total, counted = 0.0, 0
    for i in range(x.size):
        if _counts(t[i], ignore, ignored):
            total += np.log1p(exp(-abs(x[i]))) + (max(x[i], T(0)) - x[i] * t[i])
            counted += 1
    return total, counted


@parallel_kernel
def forward(x: Array, t: Array, ignore: bool, ignored: int) -> tuple[float, int]:
    """The sum over i of -(t[i] ln σ(x[i]) + (1 - t[i]) ln(1 - σ(x[i]))), in float64.

    It is computed as max(x, 0) - x t + ln(1 + e^-|x|), which never overflows. x, t: (count,). If `ignore` is
    set, targets that are `ignored` without their fraction are left out.

    Returns:
        The sum, and how many targets count.
    """
    blocks = (x.size + BLOCK - 1) // BLOCK
    sums, counts = np.empty(blocks), np.empty(blocks, np.int64)
    for block in prange(blocks):
        start, stop = block * BLOCK, min(x.size, (block + 1) * BLOCK)
        sums[block], counts[block] = _part(x[start:stop], t[start:stop], ignore, ignored)
    loss, counted = 0.0, 0
    for block in range(blocks):
        loss += sums[block]
        counted += counts[block]
    return loss, counted


@parallel_kernel
def backward(x: Array, t: Array, ignore: bool, ignored: int, scale: float, dx: Array) -> None:
    """dx[i] = scale (σ(x[i]) - t[i]), 0 if the target is left out.  All arrays: (count,)."""
    T = x.dtype.type
    factor = T(scale)
    for i in prange(x.size):
        dx[i] = factor * (sigmoid(x[i]) - t[i]) if _counts(t[i], ignore, ignored) else T(0)
