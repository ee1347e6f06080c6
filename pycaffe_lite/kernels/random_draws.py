"""Caffe's random numbers: the Mersenne Twister (MT19937) and Boost's distributions on top of it.

The state of a stream is an array (625,) of uint32: the engine's 624 words, and how many of them have been
used. Every kernel takes its draws from the state and leaves it where the next draw starts. All values are
float32, each operation rounded to float32; Numba fuses no multiplication with an addition, and must not:
the fused result differs in the last bit. Nothing here may be marked fast-math for the same reason.

Source: Matsumoto and Nishimura, "Mersenne Twister", 1998; Marsaglia and Tsang, "The Ziggurat Method for
Generating Random Variables", 2000; the order of draws and the rounding are those of Boost 1.56 and later
(boost/random/normal_distribution.hpp and its neighbours)
"""

import math
from typing import Any, NamedTuple

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, serial_kernel

WORDS = 624
_MIDDLE = 397

_TWO_32 = np.float32(2.0**32)
_TWO_MINUS_32 = np.float32(2.0**-32)
_TWO_MINUS_24 = np.float32(2.0**-24)
_ZERO, _HALF, _ONE, _TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)


@kernel
def _twisted(word: int, following: int, middle: int) -> int:
    y = (word & 0x80000000) | (following & 0x7FFFFFFF)
    return middle ^ (y >> 1) ^ (0x9908B0DF if y & 1 else 0)


@kernel
def _twist(state: Array) -> None:
    """The next 624 words of the engine, in place."""
    for k in range(WORDS - _MIDDLE):
        state[k] = _twisted(state[k], state[k + 1], state[k + _MIDDLE])
    for k in range(WORDS - _MIDDLE, WORDS - 1):
        state[k] = _twisted(state[k], state[k + 1], state[k + _MIDDLE - WORDS])
    state[WORDS - 1] = _twisted(state[WORDS - 1], state[0], state[_MIDDLE - 1])


@kernel
def _draw(state: Array) -> Any:
    """Takes one raw draw u, 0 ≤ u < 2³²."""
    used = state[WORDS]
    if used >= WORDS:
        _twist(state)
        used = 0
    state[WORDS] = used + 1
    return _tempered(state[used])


@kernel
def _tempered(word: int) -> Any:
    """The raw draw that a word of the engine gives."""
    y = np.int64(word)
    y ^= y >> 11
    y ^= (y << 7) & 0x9D2C5680
    y ^= (y << 15) & 0xEFC60000
    return y ^ (y >> 18)


@kernel
def _draw_unit(state: Array) -> Any:
    """Draws one value of [0, 1): u/2³², drawn again if rounding makes that 1."""
    while True:
        unit = np.float32(_draw(state)) * _TWO_MINUS_32
        if unit < _ONE:
            return unit


@kernel
def draw_uniform(state: Array, low: float, high: float) -> Any:
    """Draws one value u/2³² · (high − low) + low, again if that is not below high."""
    span = high - low
    value = high
    while value >= high:
        value = np.float32(_draw(state)) / _TWO_32 * span + low
    return value


@serial_kernel
def raw(state: Array, out: Array) -> None:
    """out[i] = the next raw draw.  out: (count,) uint32."""
    for i in range(out.size):
        out[i] = _draw(state)


@serial_kernel
def uniform(state: Array, low: float, high: float, out: Array) -> None:
    """out[i] = u/2³² · (high − low) + low, drawn again if that is not below high.  out: (count,)."""
    for i in range(out.size):
        out[i] = draw_uniform(state, low, high)


@serial_kernel
def bernoulli(state: Array, largest: int, out: Array) -> None:
    """out[i] = 1 if u ≤ largest else 0.  out: (count,) uint8."""
    done = 0
    while done < out.size:  # all words left at a time, in vectors: ten times as fast as one by one
        if state[WORDS] >= WORDS:
            _twist(state)
            state[WORDS] = 0
        used = np.int64(state[WORDS])
        count = min(WORDS - used, out.size - done)
        words, values = state[used : used + count], out[done : done + count]
        for i in range(count):
            values[i] = _tempered(words[i]) <= largest
        state[WORDS] = used + count
        done += count


@serial_kernel
def permute(state: Array, order: Array) -> None:
    """Shuffles order, (count,): for i from the last down to 1, swaps order[i] with one of order[0..i]."""
    for i in range(order.size - 1, 0, -1):
        bucket = 0xFFFFFFFF // (i + 1)
        if 0xFFFFFFFF % (i + 1) == i:
            bucket += 1
        j = _draw(state) // bucket
        while j > i:
            j = _draw(state) // bucket
        order[i], order[j] = order[j], order[i]


class Ziggurat(NamedTuple):
    """A density cut into n layers of equal area; layer i ends at edge x[i], its lower side is y[i].

    Attributes:
        edge: (n + 1,) float64, x before rounding.
        x, y: (n + 1,) float32.
        dx, dy: (n,) float32: x[i] − x[i+1] and y[i+1] − y[i], rounded once.
    """

    edge: Array
    x: Array
    y: Array
    dx: Array
    dy: Array


@kernel
def _draw_exponential(state: Array, layers: Ziggurat) -> Any:
    """Draws one value of the density exp(−x), by a ziggurat of 256 layers."""
    shift = _ZERO
    while True:
        u = _draw(state)
        i = u & 255
        right = layers.x[i]
        x = np.float32(u >> 8) * _TWO_MINUS_24 * right
        if x < layers.x[i + 1]:
            return shift + x
        if i == 0:  # beyond the last edge the density is the same again, moved
            shift += layers.x[1]
            continue
        t = _draw_unit(state)
        y = layers.y[i] + t * layers.dy[i]
        chord = layers.dx[i] * t - (right - x)
        tangent = y - (layers.y[i + 1] + (layers.x[i + 1] - x) * layers.y[i + 1])
        if chord < _ZERO and (tangent < _ZERO or y < np.float32(math.exp(np.float64(-x)))):
            return x + shift


@serial_kernel
def normal(
    state: Array, mean: float, std: float, layers: Ziggurat, tail_layers: Ziggurat, out: Array
) -> None:
    """out[i] = z · std + mean with z of the density exp(−z²/2), by a ziggurat of 128 layers.

    Args:
        state: of the stream.
        mean, std: float32.
        layers: of the density.
        tail_layers: 256 layers of exp(−x), from which the tail is drawn.
        out: (count,) float32.
    """
    tail = layers.x[1]
    for k in range(out.size):
        while True:
            u = _draw(state)
            i = (u & 255) >> 1
            right, base = layers.x[i], layers.y[i]
            x = np.float32(u >> 8) * _TWO_MINUS_24 * right
            if np.float64(x) < layers.edge[i + 1]:
                break
            if i == 0:
                while True:
                    x = _draw_exponential(state, tail_layers) / tail
                    y = _draw_exponential(state, tail_layers)
                    if _TWO * y > x * x:
                        break
                x = x + tail
                break
            t = _draw_unit(state)
            y = base + t * layers.dy[i]
            inside = right - x
            chord = layers.dx[i] * t - inside
            tangent = y - (base + inside * base * right)
            # Beyond the inflection at 1 the curve lies below its chord; before it, above its tangent.
            upper, lower = (chord, tangent) if layers.edge[i] >= 1.0 else (tangent, chord)
            if upper < _ZERO and (lower < _ZERO or y < np.float32(math.exp(np.float64(-(x * x * _HALF))))):
                break
        z = x if u & 1 else -x
        out[k] = z * std + mean
