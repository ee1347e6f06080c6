"""Working memory of the kernels, which each calling thread keeps between calls.

So kernels of several of Python's threads do not meet there, and a net's recordings hold in the thread that
made them (net/recordings.py). After that thread has ended, a new one may get its number and replay them with
the old one's memory: nobody else uses it.

New memory would come from the system as pages of zeros, which take longer to make than to fill.
"""

import threading
from typing import Any

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, get_num_threads
from pycaffe_lite.kernels.runtime.memory import ALIGNMENT, aligned_empty
from pycaffe_lite.kernels.runtime.steps import break_recording

MOST_KEPT = 1 << 24  # numbers: 64 MB
_kept = threading.local()


def scratch(purpose: str, dtype: np.dtype[Any], count: int) -> Array:
    """Return an array of `count` numbers with arbitrary content, aligned to a cache line.

    It belongs to the caller until the same thread asks again for the same purpose and type.
    """
    if count > MOST_KEPT:
        break_recording()  # a recording would keep so much memory
        return aligned_empty(count, dtype)
    held: dict[str, Array] = _kept.__dict__
    key = purpose + dtype.char
    array = held.get(key)
    if array is None or array.size < count:
        array = held[key] = aligned_empty(count, dtype)
    return array[:count]


def worker_memory(dtype: np.dtype[Any], workers: int, count: int) -> Array:
    """Return working memory with at least `count` numbers for each worker, (workers, count or more).

    Rows start at cache lines, so that no two workers write to the same line.
    """
    count = -(-count // ALIGNMENT) * ALIGNMENT
    return scratch("workers", dtype, workers * count).reshape(workers, count)


LITTLE = 8192  # numbers that one thread goes through sooner than others could be started


def workers_for(count: int) -> int:
    """Return how many workers a kernel gets that goes through `count` numbers."""
    return 1 if count <= LITTLE else get_num_threads()


def no_memory(dtype: np.dtype[Any], workers: int | None = None) -> Array:
    """Return what a kernel gets that needs no working memory. workers: None for one for each thread."""
    return worker_memory(dtype, get_num_threads() if workers is None else workers, 1)
