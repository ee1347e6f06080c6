"""Working memory of the kernels: kept between calls, one set per calling thread."""

import threading
from typing import Any

import numpy as np

from pycaffe_lite.kernels._jit import Array
from pycaffe_lite.kernels.memory import ALIGNMENT, aligned_empty

_kept = threading.local()


def scratch(dtype: Any, count: int) -> Array:
    """An array of `count` numbers with any content, aligned to a cache line.

    It is the caller's until the next call for the same type in the same thread.
    """
    held: dict[str, Array] = _kept.__dict__
    key = np.dtype(dtype).char
    array = held.get(key)
    if array is None or array.size < count:
        array = held[key] = aligned_empty(count, dtype)
    return array[:count]


def worker_memory(dtype: Any, workers: int, count: int) -> Array:
    """Working memory, at least `count` numbers for each worker: (workers, count or more).

    Rows start at cache lines, so that no two workers write to the same one.
    """
    count = -(-count // ALIGNMENT) * ALIGNMENT
    return scratch(dtype, workers * count).reshape(workers, count)
