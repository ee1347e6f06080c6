"""C's rand(), from which Caffe's HDF5Data layers shuffle: one generator of the process.

Nothing in Caffe seeds it, no `random_seed` either: each process begins with the same numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pycaffe_lite.kernels import c_rand, lock_of_process

_DTYPE = np.dtype("<u4")
_lock = lock_of_process()
STATE_BYTES = c_rand.STATE_WORDS * _DTYPE.itemsize


class Generator:
    """A generator that begins with the numbers with which each process begins."""

    def __init__(self) -> None:
        self._state = np.zeros(c_rand.STATE_WORDS, np.uint32)  # all zeros: not begun yet

    def seed(self, number: int = 1) -> None:
        """Starts anew; 1 is what a process begins with."""
        with _lock:
            c_rand.seed(self._state, number)

    def shuffle(self, items: npt.NDArray[np.int64]) -> None:
        """Shuffles (n,) items in place."""
        with _lock:
            if not self._state.any():
                c_rand.seed(self._state, 1)
            c_rand.shuffle(self._state, items)

    def state(self) -> bytes:
        """Where the generator stands."""
        with _lock:
            return self._state.astype(_DTYPE).tobytes()

    def set_state(self, state: bytes) -> None:
        """Goes on from where `state()` was taken."""
        with _lock:
            self._state[:] = np.frombuffer(state, _DTYPE)


of_process = Generator()
seed, shuffle = of_process.seed, of_process.shuffle
state, set_state = of_process.state, of_process.set_state
