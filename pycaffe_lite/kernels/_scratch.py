"""Working memory of the kernels: kept between calls, one set per calling thread."""

import threading
from typing import Any

import numpy as np

from pycaffe_lite.kernels._jit import Array

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector
_kept = threading.local()


def scratch(dtype: Any, count: int) -> Array:
    """An array of `count` numbers with any content, aligned to a cache line.

    It is the caller's until the next call for the same type in the same thread.
    """
    held: dict[Any, Array] = _kept.__dict__
    key = np.dtype(dtype).char
    array = held.get(key)
    if array is None or array.size < count:
        size = np.dtype(dtype).itemsize
        raw = np.empty(count * size + _ALIGNMENT, np.uint8)
        offset = -raw.ctypes.data % _ALIGNMENT
        array = held[key] = raw[offset : offset + count * size].view(dtype)
    return array[:count]


def worker_memory(dtype: Any, workers: int, count: int) -> Array:
    """Working memory, at least `count` numbers for each worker: (workers, count or more).

    Rows start at cache lines, so that no two workers write to the same one.
    """
    count = -(-count // _ALIGNMENT) * _ALIGNMENT
    return scratch(dtype, workers * count).reshape(workers, count)
