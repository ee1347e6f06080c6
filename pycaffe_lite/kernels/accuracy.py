"""Accuracy: how many labels are among the k best scores."""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, kernel, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory

COLUMNS = 256  # positions that are compared at once
PARTS = 16  # tasks at most: each counts by itself


@kernel
def _count_block(x: Array, labels: Array, top_k: int, correct: Array, counted: Array) -> None:
    """Adds the positions of one block to the counts. x: (C, width); labels: (width,)."""
    C, width = x.shape
    score = np.empty(width, x.dtype)
    others = np.zeros(width, np.int32)  # how many have a score at least as good
    for i in range(width):
        score[i] = x[max(labels[i], 0), i]
        others[i] -= score[i] == score[i]  # the label itself, found below
    for c in range(C):
        row = x[c]
        for i in range(width):
            others[i] += row[i] >= score[i]
    for i in range(width):
        if labels[i] >= 0:
            counted[labels[i]] += 1
            correct[labels[i]] += others[i] < top_k


def count(x: Array, labels: Array, top_k: int, correct: Array, counted: Array) -> None:
    """Counts, for each class, the positions whose label it is, and how many of these are correct.

    A position is correct if fewer than top_k other classes have a score of at least the label's, so ties
    count against the label. It is correct, too, if the label's score is NaN.

    x: (N, C, inner). labels: (N, inner), int32, -1 for a position that does not count.
    correct, counted: (C,), int64, overwritten.
    """
    N, C, inner = x.shape
    parts = min(N * -(-inner // COLUMNS), PARTS)
    hits, seen = np.zeros((parts, C), np.int64), np.zeros((parts, C), np.int64)
    _count_parts(no_memory(x.dtype), x, labels, top_k, hits, seen)
    hits.sum(axis=0, out=correct)
    seen.sum(axis=0, out=counted)


@worker_kernel
def _count_parts(
    x: Array, labels: Array, top_k: int, hits: Array, seen: Array, tasks: Tasks, _memory: Array
) -> None:
    """Counts as `count` does, in parts. hits, seen: (parts, C), int64; the counts are added to them."""
    N, _, inner = x.shape
    parts, blocks = hits.shape[0], (inner + COLUMNS - 1) // COLUMNS
    part = take_task(tasks, parts)
    while part < parts:
        for block in range(part * N * blocks // parts, (part + 1) * N * blocks // parts):
            n, start = block // blocks, block % blocks * COLUMNS
            stop = min(inner, start + COLUMNS)
            _count_block(x[n, :, start:stop], labels[n, start:stop], top_k, hits[part], seen[part])
        part = take_task(tasks, parts)
