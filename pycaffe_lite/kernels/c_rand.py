"""The random numbers of C's rand(), as glibc has it: an additive generator over 31 words.

r[i] = (r[i-31] + r[i-3]) mod 2³²; rand() gives r[i] >> 1. The state of a generator is an array (32,) of
uint32: the last 31 words in a ring, and the place of the oldest.
"""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, serial_kernel

_WORDS = 31
_BACK = 3
_THROWN_AWAY = 310
STATE_WORDS = _WORDS + 1


def seed(state: Array, number: int) -> None:
    """Makes the state that srand(number) makes, number > 0."""
    words = [number]
    for _ in range(1, _WORDS):
        words.append(16807 * words[-1] % 0x7FFFFFFF)
    state[:_WORDS] = words
    state[_WORDS] = _BACK  # the first three count as the youngest
    _skip(state, _THROWN_AWAY)


@serial_kernel
def shuffle(state: Array, items: Array) -> None:
    """Brings items, (n,), into an order of chance: for i = 1 ... n-1, swaps i and rand() mod (i+1)."""
    for i in range(1, items.size):
        j = _next(state) % (i + 1)
        items[i], items[j] = items[j], items[i]


@serial_kernel
def _skip(state: Array, count: int) -> None:
    for _ in range(count):
        _next(state)


@kernel
def _next(state: Array) -> int:
    oldest = np.int64(state[_WORDS])
    word = (np.int64(state[oldest]) + np.int64(state[(oldest + _WORDS - _BACK) % _WORDS])) & 0xFFFFFFFF
    state[oldest] = word
    state[_WORDS] = (oldest + 1) % _WORDS
    return int(word >> 1)
