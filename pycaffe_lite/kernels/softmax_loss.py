"""Multinomial logistic loss of probabilities, and its gradient through the softmax they come from.

Arrays are (N, C, inner). labels: (N, inner), int32, -1 for a position that does not count. found: what
`kernels.labels` says of them. The loss and its weight are arrays of one number.
"""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, kernel, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory, workers_for

LEAST = float(np.finfo(np.float32).tiny)  # a probability of 0 counts as this, in both types
COLUMNS = 4096  # positions of one task


def forward(p: Array, labels: Array, found: Array, normalizer: float, loss: Array) -> None:
    """loss[0] = 1/Z times the sum over the counting positions (n, i) of -ln max(p[n, label, i], LEAST).

    The sum is kept in float64. Z is `normalizer`; if that is 0, it is found[0], and at least 1.
    """
    sums = np.empty(-(-labels.size // COLUMNS))
    _add_logarithms(no_memory(p.dtype, workers_for(labels.size)), p, labels, sums)
    _divide(no_memory(p.dtype, 1), sums, found, normalizer, loss)


@worker_kernel
def _add_logarithms(p: Array, labels: Array, sums: Array, tasks: Tasks, _memory: Array) -> None:
    """Sums up each COLUMNS positions, which are numbered through all images."""
    inner = p.shape[2]
    task = take_task(tasks, sums.size)
    while task < sums.size:
        total = 0.0
        for position in range(task * COLUMNS, min(labels.size, (task + 1) * COLUMNS)):
            n, i = position // inner, position % inner
            if labels[n, i] >= 0:
                total -= np.log(max(float(p[n, labels[n, i], i]), LEAST))
        sums[task] = total
        task = take_task(tasks, sums.size)


@kernel
def _normalizer(given: float, found: Array) -> float:
    return given if given > 0 else float(max(found[0], 1))


@worker_kernel
def _divide(sums: Array, found: Array, normalizer: float, loss: Array, tasks: Tasks, _memory: Array) -> None:
    if take_task(tasks, 1) > 0:
        return
    total = 0.0
    for part in sums:
        total += part
    loss[0] = total / _normalizer(normalizer, found)


def backward(p: Array, labels: Array, found: Array, normalizer: float, weight: Array, dx: Array) -> None:
    """dx[n, c, i] = weight[0]/Z (p[n, c, i] - [c = label]), 0 at a position that does not count.

    Z is that of `forward`.
    """
    _backward(no_memory(p.dtype, workers_for(p.size)), p, labels, found, float(normalizer), weight, dx)


@worker_kernel
def _backward(
    p: Array, labels: Array, found: Array, normalizer: float, weight: Array, dx: Array, tasks: Tasks,
    _memory: Array,
) -> None:  # fmt: skip
    N, C, inner = p.shape
    T = p.dtype.type
    factor = T(float(weight[0]) / _normalizer(normalizer, found))
    blocks = (inner + COLUMNS - 1) // COLUMNS
    task = take_task(tasks, N * blocks)
    while task < N * blocks:
        n, start = task // blocks, task % blocks * COLUMNS
        label = labels[n, start : start + COLUMNS]
        for c in range(C):
            source, out = p[n, c, start : start + COLUMNS], dx[n, c, start : start + COLUMNS]
            for i in range(out.size):
                value = factor * (source[i] - T(label[i] == c))
                out[i] = value if label[i] >= 0 else T(0)
        task = take_task(tasks, N * blocks)
