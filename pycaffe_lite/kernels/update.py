"""Solver updates: one pass over a parameter, its gradient and its history, in four steps.

Letters: w the parameter (data), h, m, v, u the history, g the gradient, η (eta) the learning rate. Each
rule goes through the elements once and takes the four steps of Caffe's ApplyUpdate at each:

    normalize             g = diff · clip · norm                  clipping's factor; one over iter_size
    regularize            g = g + l2 · w    or    g + l1 · sign(w)
    compute_update_value  diff = the rule's own formula of g and the history
    update                w = w − diff

All arrays of a call are flat, of one size and one type, in which all is computed; tasks are pieces of them.
The numbers of a rule stand in an array: the fields of `Gradient`, then the rule's own. So a call that was
written down (`runtime.steps`) can be run again with other numbers.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import (
    Array,
    Tasks,
    kernel,
    parallel_kernel,
    take_piece,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.scratch import no_memory
from pycaffe_lite.kernels.simd.copies import bring_near

PART = 32_768  # numbers whose squares are summed by themselves
NEAR = 1 << 19  # numbers of a parameter: up to 2 MB of each array are likely to be in the caches
RUN = 128  # numbers gone through at a time beyond that
AHEAD = 1024  # numbers: so long before they are used, 4 KB of each array, they are asked for


class Gradient(NamedTuple):
    """What becomes of a raw gradient before the rule sees it.

    Attributes:
        clip: factor that gradient clipping asks for. norm: one over iter_size.
        l2, l1: λ of the regularization in use, 0 for the other.
    """

    clip: float = 1.0
    norm: float = 1.0
    l2: float = 0.0
    l1: float = 0.0


@kernel
def normalize(diff: float, clip: float, norm: float) -> float:
    """The gradient of the mean over iter_size batches, clipped: diff · clip · norm."""
    return diff * clip * norm


@kernel
def regularize(g: float, w: float, l2: float, l1: float) -> float:
    """The gradient of loss + l2/2 · w² + l1 · |w|; sign(0) is 0."""
    if l2 != 0:
        g += l2 * w
    if l1 != 0:
        if w > 0:
            g += l1
        elif w < 0:
            g -= l1
    return g


@kernel
def is_finite(w: float) -> bool:
    """Whether w is neither infinite nor NaN."""
    return w - w == 0


@kernel
def take_run(tasks: Tasks, arrays: tuple[Array, ...], stop: int, end: int) -> tuple[int, int, int]:
    """First and last + 1 of the next numbers, equal where none is left; and where their piece ends.

    stop, end: what came with the run before, 0 at the start. Of large arrays, which come from memory, RUN
    numbers are taken, and the ones AHEAD are brought near.
    """
    first, size = stop, arrays[0].size
    if first == end:
        first, end = take_piece(tasks, size)
    if size <= NEAR:
        return first, end, end
    stop = min(first + RUN, end)
    for array in arrays:
        bring_near(array, first + AHEAD, stop - first)
    return first, stop, end


class Rule:
    """A rule for arrays of any size, on several threads."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.__doc__ = function.__doc__
        self._kernel = worker_kernel(function)

    def __call__(self, arrays: Sequence[Array], numbers: Array, finite: Array) -> None:
        """Updates a parameter, its diff and its history in place.

        Args:
            arrays: w, diff and the history.
            numbers: float64: the fields of `Gradient`, then the rule's own.
            finite: (1,), int64; set to 0 if w is not finite everywhere afterwards.
        """
        self._kernel(no_memory(arrays[0].dtype), *arrays, numbers, finite)


# ------------------------------------------------------------------------------------------ the six rules


@Rule
def sgd(
    all_w: Array, all_diff: Array, all_h: Array, numbers: Array, finite: Array, tasks: Tasks, _memory: Array
) -> None:  # fmt: skip
    """Momentum: h ← μh + ηg;  diff = h."""
    T, fine = all_w.dtype.type, True
    clip, norm, l2, l1 = T(numbers[0]), T(numbers[1]), T(numbers[2]), T(numbers[3])
    eta, mu = T(numbers[4]), T(numbers[5])
    arrays = all_w, all_diff, all_h
    first, stop, end = take_run(tasks, arrays, 0, 0)
    while first < stop:
        w, diff, h = all_w[first:stop], all_diff[first:stop], all_h[first:stop]
        for i in range(w.size):
            g = regularize(normalize(diff[i], clip, norm), w[i], l2, l1)
            h[i] = mu * h[i] + eta * g
            diff[i] = h[i]
            w[i] -= diff[i]
            fine &= is_finite(w[i])
        first, stop, end = take_run(tasks, arrays, stop, end)
    if not fine:
        finite[0] = 0


@Rule
def nesterov(
    all_w: Array, all_diff: Array, all_h: Array, numbers: Array, finite: Array, tasks: Tasks, _memory: Array
) -> None:  # fmt: skip
    """Nesterov's momentum: h' = h;  h ← μh + ηg;  diff = (1 + μ)h − μh'."""
    T, fine = all_w.dtype.type, True
    clip, norm, l2, l1 = T(numbers[0]), T(numbers[1]), T(numbers[2]), T(numbers[3])
    eta, mu, one = T(numbers[4]), T(numbers[5]), T(1)
    arrays = all_w, all_diff, all_h
    first, stop, end = take_run(tasks, arrays, 0, 0)
    while first < stop:
        w, diff, h = all_w[first:stop], all_diff[first:stop], all_h[first:stop]
        for i in range(w.size):
            g = regularize(normalize(diff[i], clip, norm), w[i], l2, l1)
            before = h[i]
            h[i] = mu * before + eta * g
            diff[i] = (one + mu) * h[i] - mu * before
            w[i] -= diff[i]
            fine &= is_finite(w[i])
        first, stop, end = take_run(tasks, arrays, stop, end)
    if not fine:
        finite[0] = 0


@Rule
def adagrad(
    all_w: Array, all_diff: Array, all_h: Array, numbers: Array, finite: Array, tasks: Tasks, _memory: Array
) -> None:  # fmt: skip
    """Rates by the sum of squares: h ← h + g²;  diff = η · g / (√h + δ)."""
    T, fine = all_w.dtype.type, True
    clip, norm, l2, l1 = T(numbers[0]), T(numbers[1]), T(numbers[2]), T(numbers[3])
    eta, delta = T(numbers[4]), T(numbers[5])
    arrays = all_w, all_diff, all_h
    first, stop, end = take_run(tasks, arrays, 0, 0)
    while first < stop:
        w, diff, h = all_w[first:stop], all_diff[first:stop], all_h[first:stop]
        for i in range(w.size):
            g = regularize(normalize(diff[i], clip, norm), w[i], l2, l1)
            h[i] += g * g
            diff[i] = eta * (g / (math.sqrt(h[i]) + delta))
            w[i] -= diff[i]
            fine &= is_finite(w[i])
        first, stop, end = take_run(tasks, arrays, stop, end)
    if not fine:
        finite[0] = 0


@Rule
def rmsprop(
    all_w: Array, all_diff: Array, all_h: Array, numbers: Array, finite: Array, tasks: Tasks, _memory: Array
) -> None:  # fmt: skip
    """Rates by the mean of squares: h ← ρh + (1 − ρ)g²;  diff = η · g / (√h + δ)."""
    T, fine = all_w.dtype.type, True
    clip, norm, l2, l1 = T(numbers[0]), T(numbers[1]), T(numbers[2]), T(numbers[3])
    eta, rho, delta, one = T(numbers[4]), T(numbers[5]), T(numbers[6]), T(1)
    arrays = all_w, all_diff, all_h
    first, stop, end = take_run(tasks, arrays, 0, 0)
    while first < stop:
        w, diff, h = all_w[first:stop], all_diff[first:stop], all_h[first:stop]
        for i in range(w.size):
            g = regularize(normalize(diff[i], clip, norm), w[i], l2, l1)
            h[i] = rho * h[i] + (one - rho) * (g * g)
            diff[i] = eta * (g / (math.sqrt(h[i]) + delta))
            w[i] -= diff[i]
            fine &= is_finite(w[i])
        first, stop, end = take_run(tasks, arrays, stop, end)
    if not fine:
        finite[0] = 0


@Rule
def adadelta(
    all_w: Array, all_diff: Array, all_h: Array, all_h2: Array, numbers: Array, finite: Array, tasks: Tasks,
    _memory: Array,
) -> None:  # fmt: skip
    """Steps by their own mean square.

    h ← μh + (1 − μ)g²;  u = g · √((h₂ + δ) / (h + δ));  h₂ ← μh₂ + (1 − μ)u²;  diff = ηu.
    """
    T, fine = all_w.dtype.type, True
    clip, norm, l2, l1 = T(numbers[0]), T(numbers[1]), T(numbers[2]), T(numbers[3])
    eta, mu, delta, one = T(numbers[4]), T(numbers[5]), T(numbers[6]), T(1)
    arrays = all_w, all_diff, all_h, all_h2
    first, stop, end = take_run(tasks, arrays, 0, 0)
    while first < stop:
        w, diff, h, h2 = all_w[first:stop], all_diff[first:stop], all_h[first:stop], all_h2[first:stop]
        for i in range(w.size):
            g = regularize(normalize(diff[i], clip, norm), w[i], l2, l1)
            h[i] = mu * h[i] + (one - mu) * (g * g)
            u = g * math.sqrt((h2[i] + delta) / (h[i] + delta))
            h2[i] = mu * h2[i] + (one - mu) * (u * u)
            diff[i] = eta * u
            w[i] -= diff[i]
            fine &= is_finite(w[i])
        first, stop, end = take_run(tasks, arrays, stop, end)
    if not fine:
        finite[0] = 0


@Rule
def adam(
    all_w: Array, all_diff: Array, all_m: Array, all_v: Array, numbers: Array, finite: Array, tasks: Tasks,
    _memory: Array,
) -> None:  # fmt: skip
    """First and second moments; η comes with the correction √(1 − β₂ᵗ) / (1 − β₁ᵗ).

    m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  diff = η · m / (√v + δ).
    """
    T, fine = all_w.dtype.type, True
    clip, norm, l2, l1 = T(numbers[0]), T(numbers[1]), T(numbers[2]), T(numbers[3])
    eta, beta1, beta2, delta, one = T(numbers[4]), T(numbers[5]), T(numbers[6]), T(numbers[7]), T(1)
    arrays = all_w, all_diff, all_m, all_v
    first, stop, end = take_run(tasks, arrays, 0, 0)
    while first < stop:
        w, diff, m, v = all_w[first:stop], all_diff[first:stop], all_m[first:stop], all_v[first:stop]
        for i in range(w.size):
            g = regularize(normalize(diff[i], clip, norm), w[i], l2, l1)
            m[i] = beta1 * m[i] + (one - beta1) * g
            v[i] = beta2 * v[i] + (one - beta2) * (g * g)
            diff[i] = eta * (m[i] / (math.sqrt(v[i]) + delta))
            w[i] -= diff[i]
            fine &= is_finite(w[i])
        first, stop, end = take_run(tasks, arrays, stop, end)
    if not fine:
        finite[0] = 0


# ---------------------------------------------------------------------------------------- whole gradients


# reassoc: lets the sum run in vector lanes; the order it leaves is the same for every number of threads.
@kernel(fastmath={"reassoc"})
def _sum_squares(x: Array) -> float:
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return total


@parallel_kernel
def sum_squares(x: Array) -> float:
    """Σ x², summed in float64."""
    sums = np.zeros(-(-x.size // PART), np.float64)
    for p in prange(sums.size):
        sums[p] = _sum_squares(x[p * PART : min((p + 1) * PART, x.size)])
    return float(sums.sum())
