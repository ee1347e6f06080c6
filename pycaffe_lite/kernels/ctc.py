"""Connectionist temporal classification: how likely a row of labels is, over all its alignments.

Paper: Graves et al., "Connectionist Temporal Classification", 2006.
"""

import math

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel

NEVER = -np.inf  # the logarithm of 0


@kernel
def _add(a: float, b: float) -> float:
    """The logarithm of a sum, from the logarithms of its parts."""
    if a == NEVER:
        return b
    if b == NEVER:
        return a
    return max(a, b) + math.log1p(math.exp(-abs(a - b)))


@kernel
def _forward(log_p: Array, path: Array, blank: int) -> Array:
    """The logarithms of the sums over all ways to place s of the path at time t, up to there: (T, S)."""
    T, S = len(log_p), len(path)
    alpha = np.full((T, S), NEVER)
    alpha[0, 0] = log_p[0, path[0]]
    if S > 1:
        alpha[0, 1] = log_p[0, path[1]]
    for t in range(1, T):
        for s in range(S):
            total = alpha[t - 1, s]
            if s > 0:
                total = _add(total, alpha[t - 1, s - 1])
            if s > 1 and path[s] != blank and path[s] != path[s - 2]:
                total = _add(total, alpha[t - 1, s - 2])
            alpha[t, s] = total + log_p[t, path[s]]
    return alpha


@kernel
def _backward(log_p: Array, path: Array, blank: int) -> Array:
    """The same from time t on, the value at t itself left out: (T, S)."""
    T, S = len(log_p), len(path)
    beta = np.full((T, S), NEVER)
    beta[T - 1, S - 1] = 0.0
    if S > 1:
        beta[T - 1, S - 2] = 0.0
    for t in range(T - 2, -1, -1):
        for s in range(S):
            total = beta[t + 1, s] + log_p[t + 1, path[s]]
            if s + 1 < S:
                total = _add(total, beta[t + 1, s + 1] + log_p[t + 1, path[s + 1]])
            if s + 2 < S and path[s] != blank and path[s] != path[s + 2]:
                total = _add(total, beta[t + 1, s + 2] + log_p[t + 1, path[s + 2]])
            beta[t, s] = total
    return beta


@parallel_kernel
def loss(log_p: Array, labels: Array, lengths: Array, blank: int, losses: Array, expected: Array) -> None:
    """losses[n] = -ln p(labels of n), and how often each symbol is expected at each time, given the labels.

    log_p: (T, N, C), in float64. labels: (N, L), of which the first lengths[n] count; no blanks among them.
    losses: (N,). expected: (T, N, C). Both are 0 where the labels do not fit into T.
    """
    for task in prange(len(losses)):
        n = np.int64(task)
        own = np.ascontiguousarray(log_p[:, n])
        path = np.full(2 * lengths[n] + 1, blank)
        path[1::2] = labels[n, : lengths[n]]
        alpha, beta = _forward(own, path, blank), _backward(own, path, blank)
        total = NEVER
        for s in range(max(0, len(path) - 2), len(path)):
            total = _add(total, alpha[len(own) - 1, s])
        expected[:, n] = 0
        losses[n] = 0.0
        if total == NEVER:
            continue
        losses[n] = -total
        for t in range(len(own)):
            for s in range(len(path)):
                expected[t, n, path[s]] += math.exp(alpha[t, s] + beta[t, s] - total)
