"""Sorting by descending score as C++ programs do it, with the order in which they leave equal scores.

std::sort keeps no order among equal keys, and detectors cut its result off: which of many boxes with a score
of 1 remain is then the work of the algorithm, GCC's introsort, which is done over again here. So is the quick
sort that Proposal layers carry along.
"""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, serial_kernel

SHORT = 16  # runs that are left to the insertion sort at the end


@serial_kernel
def descending(scores: Array) -> Array:
    """The indices of scores, the highest first, in the order of GCC's std::sort.  scores: (count,)."""
    order = np.arange(len(scores))
    depth = 0
    while len(scores) >> (depth + 1):
        depth += 1
    # Pieces to be partitioned, as a stack: first, last and how often each may be.
    stack = [(0, len(scores), 2 * depth)]
    while stack:
        first, last, left = stack.pop()
        while last - first > SHORT and left > 0:
            left -= 1
            cut = _partition(order, scores, first, last)
            stack.append((cut, last, left))
            last = cut
        if last - first > SHORT:  # too many bad partitions
            _heap_sort(order[first:last], scores)
    _insertion_sort(order, scores)
    return order


@kernel
def _partition(order: Array, scores: Array, first: int, last: int) -> int:
    """Move higher scores than that of a pivot before the others; where these begin."""
    _median_to_front(order, scores, first, first + 1, first + (last - first) // 2, last - 1)
    pivot, low, high = scores[order[first]], first + 1, last
    while True:
        while scores[order[low]] > pivot:
            low += 1
        high -= 1
        while pivot > scores[order[high]]:
            high -= 1
        if low >= high:
            return low
        order[low], order[high] = order[high], order[low]
        low += 1


@kernel
def _median_to_front(order: Array, scores: Array, front: int, i: int, j: int, k: int) -> None:
    """Exchange the middle one of three with the first of a piece."""
    a, b, c = scores[order[i]], scores[order[j]], scores[order[k]]
    middle = (j if b > c else k if a > c else i) if a > b else i if a > c else k if b > c else j
    order[front], order[middle] = order[middle], order[front]


@kernel
def _heap_sort(order: Array, scores: Array) -> None:
    """Sort by a heap whose top is the lowest score."""
    for hole in range((len(order) - 2) // 2, -1, -1):
        _sink(order, scores, hole, len(order), order[hole])
    for last in range(len(order) - 1, 0, -1):
        index = order[last]
        order[last] = order[0]
        _sink(order, scores, 0, last, index)


@kernel
def _sink(order: Array, scores: Array, hole: int, count: int, index: int) -> None:
    """Put an index into a heap of so many: the hole goes down to a leaf, and the index up from there."""
    top, child = hole, 2 * hole + 2
    while child < count:
        if scores[order[child]] > scores[order[child - 1]]:
            child -= 1
        order[hole], hole = order[child], child
        child = 2 * hole + 2
    if child == count:  # the last one has no sibling
        order[hole], hole = order[child - 1], child - 1
    while hole > top and scores[order[(hole - 1) // 2]] > scores[index]:
        parent = (hole - 1) // 2
        order[hole], hole = order[parent], parent
    order[hole] = index


@kernel
def _insertion_sort(order: Array, scores: Array) -> None:
    """Sort what is nearly sorted; equal scores stay as they are."""
    for i in range(1, len(order)):
        index, j = order[i], i
        while j > 0 and scores[index] > scores[order[j - 1]]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = index


@serial_kernel
def best_first(scores: Array, most: int) -> Array:
    """The indices of scores, of which the `most` highest come first, in the order of PVANet's quick sort.

    Its pivot is the first score of a piece; a piece that begins beyond `most` is left as it is.

    scores: (count,).
    """
    order = np.arange(len(scores))
    stack = [(0, len(scores) - 1)]
    while stack:
        first, last = stack.pop()
        if first >= last:
            continue
        pivot, left, right = scores[order[first]], first + 1, last
        while left <= right:
            while left <= last and scores[order[left]] >= pivot:
                left += 1
            while right > first and scores[order[right]] <= pivot:
                right -= 1
            if left <= right:
                order[left], order[right] = order[right], order[left]
                left += 1
                right -= 1
        order[first], order[right] = order[right], order[first]
        if right + 1 < most:
            stack.append((right + 1, last))
        stack.append((first, right - 1))
    return order
