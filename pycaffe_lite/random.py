"""Caffe's random stream: one Mersenne Twister, from which fillers and layers draw in turn.

In Caffe each thread has a stream. Here a thread other than the main one gets its own when it sets a seed, and
then draws numbers that do not depend on other threads. Threads that have set none draw from the process's
stream.

The numbers are those of Caffe built for plain x86-64 with Boost 1.56 or later, to the last bit. NumPy's
distributions give other numbers and are not used in this package.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable, MutableSequence
from contextlib import AbstractContextManager
from decimal import Context, Decimal, localcontext
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import ArgumentError, ArgumentTypeError
from pycaffe_lite.kernels import lock_of_process, random_draws
from pycaffe_lite.kernels.random_draws import WORDS, Ziggurat

Floats = npt.NDArray[np.float32]

_MAX_DRAW = 2**32 - 1
_STATE_DTYPE = np.dtype("<u4")


class RandomStream:
    """An endless sequence of random draws u, 0 ≤ u < 2³², and the distributions made of them.

    Two streams of the same seed give the same numbers for the same calls. A stream without a lock is for one
    thread only.

    Args:
        seed: any integer, taken modulo 2³²; None for one from the operating system.
        lock: the lock to hold while the state is used.
    """

    def __init__(self, seed: int | None = None, lock: AbstractContextManager[object] | None = None) -> None:
        self._lock = lock
        self._state = np.empty(WORDS + 1, np.uint32)
        self.seed(int.from_bytes(os.urandom(4), "little") if seed is None else seed)

    def seed(self, seed: int) -> None:
        """Starts anew from a seed, taken modulo 2³²."""
        word = seed & _MAX_DRAW
        words = [word]
        for i in range(1, WORDS):
            word = (1812433253 * (word ^ word >> 30) + i) & _MAX_DRAW
            words.append(word)
        self.use(np.copyto, np.array([*words, WORDS], np.uint32))

    def state(self) -> bytes:
        """The stream's state: 2500 bytes, the same on every machine."""
        words: npt.NDArray[np.uint32] = self.use(np.copy)
        return words.astype(_STATE_DTYPE).tobytes()

    def set_state(self, state: bytes) -> None:
        """Goes on from where `state()` was taken.

        Raises:
            ArgumentError: these are not the bytes of a state.
        """
        words = np.frombuffer(state, _STATE_DTYPE) if len(state) == 4 * (WORDS + 1) else None
        if words is None or words[WORDS] > WORDS:
            raise ArgumentError(f"{len(state)} bytes are not the state of a random stream")
        self.use(np.copyto, words)

    def use(self, function: Callable[..., Any], *args: object) -> Any:
        """Calls a kernel with the state, (625,) uint32, and further arguments, and returns its result."""
        if self._lock is None:
            return function(self._state, *args)
        with self._lock:
            return function(self._state, *args)

    def raw(self) -> int:
        """The next draw u."""
        return int(self.raw_array(1)[0])

    def raw_array(self, count: int) -> npt.NDArray[np.uint32]:
        """The next `count` draws."""
        out = np.empty(count, np.uint32)
        self.use(random_draws.raw, out)
        return out

    def below(self, n: int) -> int:
        """An integer of [0, n): u modulo n; one draw."""
        return self.raw() % n

    def uniform(self, count: int, low: float, high: float, out: Floats | None = None) -> Floats:
        """Values of [low, high], one draw each.

        Args:
            count: how many.
            low, high: the bounds, rounded to float32.
            out: (count,) float32, filled and returned if given.

        Raises:
            ArgumentError: low > high, or the two are not finite or too far apart for float32.
        """
        a, b = np.float32(low), np.float32(high)
        with np.errstate(over="ignore", invalid="ignore"):
            above = np.nextafter(b, np.finfo(np.float32).max)
            span = above - a
        if not (a <= b < np.inf and 0 < span < np.inf):
            raise ArgumentError(f"cannot draw uniform values of [{low:g}, {high:g}]")
        out = _room(count, np.float32, out)
        self.use(random_draws.uniform, a, above, out)
        return out

    def normal(self, count: int, mean: float, std: float, out: Floats | None = None) -> Floats:
        """Values of the normal distribution, about one draw each.

        Args:
            count: how many.
            mean: the distribution's mean, rounded to float32.
            std: its standard deviation, > 0, rounded to float32.
            out: (count,) float32, filled and returned if given.

        Raises:
            ArgumentError: std is not above 0.
        """
        if not np.float32(std) > 0:
            raise ArgumentError(f"cannot draw normal values with the standard deviation {std:g}")
        out = _room(count, np.float32, out)
        layers = _normal_layers(), _exponential_layers()
        self.use(random_draws.normal, np.float32(mean), np.float32(std), *layers, out)
        return out

    def bernoulli(
        self,
        count: int,
        p: float,
        dtype: npt.DTypeLike = np.float64,
        out: npt.NDArray[np.uint8] | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Ones with probability p, else zeros; one draw each, or none if p is 0.

        Args:
            count: how many.
            p: the probability, of [0, 1].
            dtype: the type in which Caffe compares: float64 for Dropout, float32 for sparse fillers.
            out: (count,) uint8, filled and returned if given.

        Raises:
            ArgumentError: p is outside of [0, 1].
        """
        if not 0 <= p <= 1:
            raise ArgumentError(f"cannot draw with the probability {p:g}: it is outside of [0, 1]")
        out = _room(count, np.uint8, out)
        if p == 0:
            out.fill(0)
        else:
            self.use(random_draws.bernoulli, _largest_draw(float(p), np.dtype(dtype)), out)
        return out

    def permutation(self, count: int) -> npt.NDArray[np.int64]:
        """The order that `shuffle` gives `count` items: the old index of the new first, second, ... item."""
        order = np.arange(count)
        self.use(random_draws.permute, order)
        return order

    def shuffle(self, items: MutableSequence[Any]) -> None:
        """Shuffles in place as Caffe shuffles lists of files, with about one draw for each item but one."""
        items[:] = [items[i] for i in self.permutation(len(items))]


def _room(count: int, dtype: npt.DTypeLike, out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    if out is None:
        return np.empty(count, dtype)
    if out.shape != (count,) or out.dtype != dtype:
        raise ArgumentError(
            f"needs {count} values of {np.dtype(dtype)}, got {out.dtype} of shape {out.shape}"
        )
    return out


@lru_cache(maxsize=64)
def _largest_draw(p: float, dtype: np.dtype) -> int:
    """The largest u with u ≤ p · (2³² − 1), with all numbers rounded to `dtype`."""
    bound = dtype.type(p) * dtype.type(_MAX_DRAW)
    low, high = 0, _MAX_DRAW
    while low < high:
        middle = (low + high + 1) // 2
        if dtype.type(middle) <= bound:
            low = middle
        else:
            high = middle - 1
    return low


class _Own(threading.local):
    """The calling thread's own stream, if it has one."""

    stream: RandomStream | None = None


_own = _Own()
_process_stream: RandomStream | None = None
_process_lock = lock_of_process()


def stream() -> RandomStream:
    """The main stream, from which fillers, Dropout and new data layers draw in this thread.

    It is the process's stream unless this thread has one of its own. Its seed is from the operating system
    until `set_random_seed` sets one.
    """
    global _process_stream
    if _own.stream is not None:
        return _own.stream
    if _process_stream is None:
        with _process_lock:
            if _process_stream is None:
                _process_stream = RandomStream(lock=_process_lock)
    return _process_stream


def stream_to_set() -> RandomStream:
    """As `stream`, for setting its state: a thread other than the main one gets a stream of its own."""
    if _own.stream is None and threading.get_ident() != threading.main_thread().ident:
        _own.stream = RandomStream()
    return stream()


def set_random_seed(seed: int) -> None:
    """Starts the main stream anew from a seed.

    In the main thread this is the process's stream, from which all threads draw that have set no seed
    themselves. Any other thread has a stream of its own from now on.

    Args:
        seed: from 0 to 2³² − 1.

    Raises:
        ArgumentError: it is outside. ArgumentTypeError: it is no whole number.
    """
    try:
        seed = operator.index(seed)
    except TypeError:
        raise ArgumentTypeError(f"a seed must be a whole number, got {seed!r}") from None
    if not 0 <= seed <= _MAX_DRAW:
        raise ArgumentError(f"a seed must be from 0 to {_MAX_DRAW}, got {seed}")
    stream_to_set().seed(seed)


# ------------------------------------------------------------------------------------ the ziggurats' tables

# Boost holds these tables as decimal constants; computing with 45 digits gives the same float64 everywhere.
_DIGITS = 45


@lru_cache(maxsize=1)
def _normal_layers() -> Ziggurat:
    """128 layers under exp(−x²/2)."""
    with localcontext(Context(prec=_DIGITS)):
        start = Decimal("3.4426198558966521214")
        area = start * (-start * start / 2).exp() + _normal_tail(start)
        return _ziggurat(128, start, area, lambda x: (-x * x / 2).exp(), lambda y: (-2 * y.ln()).sqrt())


@lru_cache(maxsize=1)
def _exponential_layers() -> Ziggurat:
    """256 layers under exp(−x)."""
    with localcontext(Context(prec=_DIGITS)):
        start = Decimal("7.6971174701310497140")
        area = (start + 1) * (-start).exp()
        return _ziggurat(256, start, area, lambda x: (-x).exp(), lambda y: -y.ln())


def _normal_tail(start: Decimal) -> Decimal:
    """∫ exp(−x²/2) dx from `start` to infinity, by Laplace's continued fraction 1/(x + 1/(x + 2/(x + …)))."""
    fraction = start
    for k in range(400, 0, -1):
        fraction = start + k / fraction
    return (-start * start / 2).exp() / fraction


def _ziggurat(
    layers: int,
    start: Decimal,
    area: Decimal,
    density: Callable[[Decimal], Decimal],
    inverse: Callable[[Decimal], Decimal],
) -> Ziggurat:
    """Layers of equal area under a falling density; the lowest also holds the tail beyond x[1] = start."""
    x = [area / density(start), start]
    y = [Decimal(0), density(start)]
    for i in range(1, layers - 1):
        y.append(y[i] + area / x[i])
        x.append(inverse(y[-1]))
    x.append(Decimal(0))
    y.append(Decimal(1))
    edge, height = np.array(x, np.float64), np.array(y, np.float64)
    return Ziggurat(
        edge,
        edge.astype(np.float32),
        height.astype(np.float32),
        (edge[:-1] - edge[1:]).astype(np.float32),
        (height[1:] - height[:-1]).astype(np.float32),
    )
