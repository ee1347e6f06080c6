"""C's rand(), from which Caffe's HDF5Data layers shuffle: one generator of the process.

Nothing in Caffe seeds it, no `random_seed` either: each process begins with the same numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pycaffe_lite.kernels import c_rand, lock_of_process

_state = np.zeros(c_rand.STATE_WORDS, np.uint32)
_DTYPE = np.dtype("<u4")
_lock = lock_of_process()
STATE_BYTES = _state.nbytes


def seed(number: int = 1) -> None:
    """Starts anew; 1 is what a process begins with."""
    with _lock:
        c_rand.seed(_state, number)


def shuffle(items: npt.NDArray[np.int64]) -> None:
    """Shuffles (n,) items in place."""
    with _lock:
        if not _state.any():
            c_rand.seed(_state, 1)
        c_rand.shuffle(_state, items)


def state() -> bytes:
    """Where the generator stands."""
    with _lock:
        return _state.astype(_DTYPE).tobytes()


def set_state(state: bytes) -> None:
    """Goes on from where `state()` was taken."""
    with _lock:
        _state[:] = np.frombuffer(state, _DTYPE)
