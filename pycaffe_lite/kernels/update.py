"""The solvers' update rules: one pass over a parameter, its gradient and its history, in four steps.

Letters: w is a number of the parameter (its data), g its gradient, h, m and v are the history, and η (eta) is
the learning rate. A rule takes the four steps of Caffe's ApplyUpdate for each number:

    normalize             g = diff · clip · norm                  clip: clipping's factor; norm: 1 / iter_size
    regularize            g = g + l2 · w    or    g + l1 · sign(w)
    compute_update_value  diff, history = the rule's own formula of g and the history
    update                w = w − diff

Only the third step differs between the rules, so a rule is written as its formula for one number (`rule`).

All arrays of a call are flat, of one size and of one type, in which everything is computed; the tasks
are pieces of them. A rule gets its numbers in an array, so that a recorded call (`runtime.steps`) can be run
again with other numbers.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from pycaffe_lite.kernels.elementwise import Number, name_after
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
from pycaffe_lite.kernels.simd.elements import elements_at, rounded, set_elements

PART = 32_768  # numbers of which the squares are summed on their own
NEAR = 1 << 19  # numbers: arrays of up to 2 MB are likely to be in the caches already
RUN = 256  # numbers of larger arrays that are updated between two requests to memory
AHEAD = 1024  # numbers: memory is asked for what comes so much later, 4 KB of each array


class Gradient(NamedTuple):
    """The numbers of the steps before a rule's own.

    Attributes:
        clip: the factor of gradient clipping. norm: one over iter_size.
        l2, l1: λ of L2 and of L1 regularization; 0 for the one that is not in use.
    """

    clip: float = 1.0
    norm: float = 1.0
    l2: float = 0.0
    l1: float = 0.0


OWN = len(Gradient._fields)  # a rule's own numbers come behind these


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
    """The next run of numbers to update: its start, its end, and the end of the piece that it is part of.

    Start and end are equal when nothing is left. A run is a whole piece of arrays that are likely to be in
    the caches. Of larger ones it is RUN numbers, and those that lie AHEAD are fetched from memory meanwhile.

    stop, end: the end of the run before and of its piece; 0 and 0 at first.
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


Formula = Callable[..., tuple[Any, ...]]


class Rule:
    """An update rule, compiled for arrays of any size.

    Attributes:
        py_func: the formula that it was made from, a plain function of numbers.
        takes_weight: whether the formula takes w, behind g.
    """

    def __init__(self, formula: Formula, histories: int, takes_weight: bool) -> None:
        self.py_func, self.takes_weight = formula, takes_weight
        self.__doc__, self.__name__, self.__module__ = formula.__doc__, formula.__name__, formula.__module__
        self._kernel = worker_kernel(_for_arrays(formula, histories, takes_weight))

    def __call__(self, arrays: Sequence[Array], numbers: Array, finite: Array) -> None:
        """Updates a parameter, its diff and its history in place.

        Args:
            arrays: the parameter, its diff and its history.
            numbers: float64: the fields of `Gradient`, then the rule's own numbers.
            finite: (1,), int64; set to 0 if any number of the parameter is not finite afterwards.
        """
        self._kernel(no_memory(arrays[0].dtype), tuple(arrays), numbers, finite)


def _for_arrays(formula: Formula, histories: int, takes_weight: bool) -> Callable[..., None]:
    """The worker kernel of a rule: all four steps at each place of the arrays."""
    compiled_formula = kernel(formula)
    count = formula.__code__.co_argcount - 1 - takes_weight - histories  # of the rule's own numbers
    weights = 1 if takes_weight else 0

    def runs(arrays: Any, numbers: Array, finite: Array, tasks: Tasks, _memory: Array) -> None:
        T, fine = arrays[0].dtype.type, True
        clip, norm, l2, l1 = T(numbers[0]), T(numbers[1]), T(numbers[2]), T(numbers[3])
        own = rounded(numbers, OWN, count, arrays[0])
        first, stop, end = take_run(tasks, arrays, 0, 0)
        while first < stop:
            for i in range(first, stop):
                before = elements_at(arrays, arrays, i)
                g = regularize(normalize(before[1], clip, norm), before[0], l2, l1)
                after = compiled_formula(g, *(before[:weights] + before[2:] + own))
                w = before[0] - after[0]
                set_elements(arrays, i, (w, *after))
                fine &= is_finite(w)
            first, stop, end = take_run(tasks, arrays, stop, end)
        if not fine:
            finite[0] = 0

    name_after(formula, runs)
    return runs


def rule(histories: int = 1, *, takes_weight: bool = False) -> Callable[[Formula], Rule]:
    """Makes a rule from its formula for one number of a parameter.

    The formula takes g, the numbers of the history, and the rule's own numbers, of which η is the first. It
    returns diff and the new numbers of the history. All have one type; constants need it, as in `type(g)(1)`.

    Args:
        histories: the number of history arrays.
        takes_weight: whether the formula takes w, too, behind g.
    """
    return lambda formula: Rule(formula, histories, takes_weight)


# ------------------------------------------------------------------------------------------ the six rules


@rule()
def sgd(g: Number, h: Number, eta: Number, mu: Number) -> tuple[Number, ...]:
    """Momentum: h ← μh + ηg;  diff = h."""
    h = mu * h + eta * g
    return h, h


@rule()
def nesterov(g: Number, h: Number, eta: Number, mu: Number) -> tuple[Number, ...]:
    """Nesterov's momentum: h' = h;  h ← μh + ηg;  diff = (1 + μ)h − μh'."""
    one, before = type(g)(1), h
    h = mu * before + eta * g
    return (one + mu) * h - mu * before, h


@rule()
def adagrad(g: Number, h: Number, eta: Number, delta: Number) -> tuple[Number, ...]:
    """A rate for each number, by the sum of its squared gradients.

    h ← h + g²;  diff = η · g / (√h + δ).
    """
    h = h + g * g
    return eta * (g / (math.sqrt(h) + delta)), h


@rule()
def rmsprop(g: Number, h: Number, eta: Number, rho: Number, delta: Number) -> tuple[Number, ...]:
    """A rate for each number, by the mean of its squared gradients.

    h ← ρh + (1 − ρ)g²;  diff = η · g / (√h + δ).
    """
    one = type(g)(1)
    h = rho * h + (one - rho) * (g * g)
    return eta * (g / (math.sqrt(h) + delta)), h


@rule(histories=2)
def adadelta(g: Number, h: Number, h2: Number, eta: Number, mu: Number, delta: Number) -> tuple[Number, ...]:
    """Steps of a size that follows from the steps before.

    h ← μh + (1 − μ)g²;  u = g · √((h₂ + δ) / (h + δ));  h₂ ← μh₂ + (1 − μ)u²;  diff = ηu.
    """
    one = type(g)(1)
    h = mu * h + (one - mu) * (g * g)
    u = g * math.sqrt((h2 + delta) / (h + delta))
    h2 = mu * h2 + (one - mu) * (u * u)
    return eta * u, h, h2


@rule(histories=2)
def adam(
    g: Number, m: Number, v: Number, eta: Number, beta1: Number, beta2: Number, delta: Number
) -> tuple[Number, ...]:
    """First and second moments; η comes with the correction √(1 − β₂ᵗ) / (1 − β₁ᵗ).

    m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  diff = η · m / (√v + δ).
    """
    one = type(g)(1)
    m = beta1 * m + (one - beta1) * g
    v = beta2 * v + (one - beta2) * (g * g)
    return eta * (m / (math.sqrt(v) + delta)), m, v


# ------------------------------------------------------------------------------------------ rules of forks


@rule(takes_weight=True)
def sgd_with_decay_apart(
    g: Number, w: Number, h: Number, eta: Number, mu: Number, decay: Number
) -> tuple[Number, ...]:
    """Momentum that weight decay is no part of: h ← μh + ηg;  diff = h + decay · w."""
    h = mu * h + eta * g
    return h + decay * w, h


@rule(histories=2)
def sgd_with_dropout(g: Number, h: Number, kept: Number, eta: Number, mu: Number) -> tuple[Number, ...]:
    """Momentum of which only some numbers are kept: h ← kept · (μh + ηg);  diff = h. kept: 1 or 0."""
    h = kept * (mu * h + eta * g)
    return h, h, kept


@rule(histories=2, takes_weight=True)
def adam_with_options(
    g: Number, w: Number, m: Number, v: Number, eta: Number, beta1: Number, beta2: Number, delta: Number,
    mean: Number, never_falls: Number, from_mean: Number, divides: Number, decay: Number,
) -> tuple[Number, ...]:  # fmt: skip
    """Adam with what forks have added to it. The last five numbers, but `mean` and `decay`, are 0 or 1.

    g ← g − mean;  m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)d², where d is g, or g − m with `from_mean`, and
    not below the old v with `never_falls`;  diff = η · m / (√v + δ), or ηm without `divides`, + decay · w.
    """
    one, zero = type(g)(1), type(g)(0)
    g = g - mean
    m = beta1 * m + (one - beta1) * g
    d = g - m if from_mean != zero else g
    moment = beta2 * v + (one - beta2) * (d * d)
    v = max(v, moment) if never_falls != zero else moment
    step = m / (math.sqrt(v) + delta) if divides != zero else m
    return eta * step + decay * w, m, v


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
