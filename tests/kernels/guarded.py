"""Arrays amid NaNs or at the end of memory: they find kernels that leave their arrays or trust old memory."""

import ctypes
import mmap
import sys

import numpy as np

from pycaffe_lite.kernels.runtime.scratch import scratch

MARGIN = 64


def guarded(values):
    """A contiguous copy of values with NaNs before and after it; its start is not aligned to vectors."""
    values = np.asarray(values)
    room = np.full(values.size + 2 * MARGIN + 1, np.nan, values.dtype)
    inner = room[MARGIN + 1 : MARGIN + 1 + values.size].reshape(values.shape)
    inner[...] = values
    return inner


def guarded_nans(shape, dtype):
    """Room for an output: NaNs, and NaNs around it."""
    return guarded(np.full(shape, np.nan, dtype))


def margins_untouched(array):
    """Whether the NaNs round a guarded array are still there."""
    room = array
    while room.base is not None:
        room = room.base
    outside = np.concatenate([room[: MARGIN + 1], room[MARGIN + 1 + array.size :]])
    return bool(np.isnan(outside).all())


def spoil_scratch(dtype, count=1 << 20):
    """Fill the working memory of the kernels with NaNs."""
    for purpose in ("workers", "packed", "sums"):
        scratch(purpose, np.dtype(dtype), count).fill(np.nan)


def at_the_end_of_memory(values):
    """A contiguous copy of values with a page behind it that cannot be read: whoever does ends the process.

    On systems without mprotect it is a plain copy.
    """
    values = np.ascontiguousarray(values)
    if sys.platform == "win32" or values.size == 0:
        return values.copy()
    pages = -(-values.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = np.frombuffer(mmap.mmap(-1, pages + mmap.PAGESIZE), np.uint8)
    behind = ctypes.c_void_p(memory.ctypes.data + pages)
    if ctypes.CDLL(None).mprotect(behind, ctypes.c_size_t(mmap.PAGESIZE), 0) != 0:
        raise OSError("mprotect")
    copy = memory[pages - values.nbytes : pages].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy
