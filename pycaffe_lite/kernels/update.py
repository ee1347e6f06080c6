"""Solver updates: one pass over a parameter, its gradient and its history, in four steps.

Letters: w the parameter (data), h, m, v, u the history, g the gradient, η (eta) the learning rate. Each
rule goes through the elements once and takes the four steps of Caffe's ApplyUpdate at each:

    normalize             g = diff · clip · norm                  clipping's factor; one over iter_size
    regularize            g = g + l2 · w    or    g + l1 · sign(w)
    compute_update_value  diff = the rule's own formula of g and the history
    update                w = w − diff

All arrays of a call are flat, of one size and one type, in which all is computed. Each rule returns whether
the updated w is finite everywhere. A rule is written for a part of the arrays; its second function hands
the parts, of a fixed size, to the threads.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from pycaffe_lite.kernels._jit import Array, kernel, parallel_kernel

PART = 32_768


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
def _as_type_of(w: Array, gradient: Gradient) -> tuple[float, float, float, float]:
    T = w.dtype.type
    return T(gradient.clip), T(gradient.norm), T(gradient.l2), T(gradient.l1)


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
def _part(index: int, size: int) -> slice:
    return slice(index * PART, min((index + 1) * PART, size))


class Rule:
    """A rule for arrays of any size: on several threads where they are large enough for it."""

    def __init__(self, serial: Callable[..., bool], parallel: Callable[..., bool]) -> None:
        self.serial, self.parallel = serial, parallel

    def __call__(self, w: Array, *others: Any) -> bool:
        """Updates w, its diff and its history in place; returns whether w is finite."""
        return (self.serial if w.size <= PART else self.parallel)(w, *others)


# ------------------------------------------------------------------------------------------ the six rules


@kernel
def _sgd(w: Array, diff: Array, h: Array, gradient: Gradient, eta: float, mu: float) -> bool:
    """Momentum: h ← μh + ηg;  diff = h."""
    T = w.dtype.type
    clip, norm, l2, l1 = _as_type_of(w, gradient)
    eta, mu = T(eta), T(mu)
    finite = True
    for i in range(w.size):
        g = regularize(normalize(diff[i], clip, norm), w[i], l2, l1)
        h[i] = mu * h[i] + eta * g
        diff[i] = h[i]
        w[i] -= diff[i]
        finite &= is_finite(w[i])
    return finite


@parallel_kernel
def _sgd_parts(w: Array, diff: Array, h: Array, gradient: Gradient, eta: float, mu: float) -> bool:
    finite = np.ones(-(-w.size // PART), np.bool_)
    for p in prange(finite.size):
        s = _part(p, w.size)
        finite[p] = _sgd(w[s], diff[s], h[s], gradient, eta, mu)
    return bool(finite.all())


sgd = Rule(_sgd, _sgd_parts)


@kernel
def _nesterov(w: Array, diff: Array, h: Array, gradient: Gradient, eta: float, mu: float) -> bool:
    """Nesterov's momentum: h' = h;  h ← μh + ηg;  diff = (1 + μ)h − μh'."""
    T = w.dtype.type
    clip, norm, l2, l1 = _as_type_of(w, gradient)
    eta, mu, one = T(eta), T(mu), T(1)
    finite = True
    for i in range(w.size):
        g = regularize(normalize(diff[i], clip, norm), w[i], l2, l1)
        before = h[i]
        h[i] = mu * before + eta * g
        diff[i] = (one + mu) * h[i] - mu * before
        w[i] -= diff[i]
        finite &= is_finite(w[i])
    return finite


@parallel_kernel
def _nesterov_parts(w: Array, diff: Array, h: Array, gradient: Gradient, eta: float, mu: float) -> bool:
    finite = np.ones(-(-w.size // PART), np.bool_)
    for p in prange(finite.size):
        s = _part(p, w.size)
        finite[p] = _nesterov(w[s], diff[s], h[s], gradient, eta, mu)
    return bool(finite.all())


nesterov = Rule(_nesterov, _nesterov_parts)


@kernel
def _adagrad(w: Array, diff: Array, h: Array, gradient: Gradient, eta: float, delta: float) -> bool:
    """Rates by the sum of squares: h ← h + g²;  diff = η · g / (√h + δ)."""
    T = w.dtype.type
    clip, norm, l2, l1 = _as_type_of(w, gradient)
    eta, delta = T(eta), T(delta)
    finite = True
    for i in range(w.size):
        g = regularize(normalize(diff[i], clip, norm), w[i], l2, l1)
        h[i] += g * g
        diff[i] = eta * (g / (math.sqrt(h[i]) + delta))
        w[i] -= diff[i]
        finite &= is_finite(w[i])
    return finite


@parallel_kernel
def _adagrad_parts(w: Array, diff: Array, h: Array, gradient: Gradient, eta: float, delta: float) -> bool:
    finite = np.ones(-(-w.size // PART), np.bool_)
    for p in prange(finite.size):
        s = _part(p, w.size)
        finite[p] = _adagrad(w[s], diff[s], h[s], gradient, eta, delta)
    return bool(finite.all())


adagrad = Rule(_adagrad, _adagrad_parts)


@kernel
def _rmsprop(
    w: Array, diff: Array, h: Array, gradient: Gradient, eta: float, rho: float, delta: float
) -> bool:
    """Rates by the mean of squares: h ← ρh + (1 − ρ)g²;  diff = η · g / (√h + δ)."""
    T = w.dtype.type
    clip, norm, l2, l1 = _as_type_of(w, gradient)
    eta, rho, delta, one = T(eta), T(rho), T(delta), T(1)
    finite = True
    for i in range(w.size):
        g = regularize(normalize(diff[i], clip, norm), w[i], l2, l1)
        h[i] = rho * h[i] + (one - rho) * (g * g)
        diff[i] = eta * (g / (math.sqrt(h[i]) + delta))
        w[i] -= diff[i]
        finite &= is_finite(w[i])
    return finite


@parallel_kernel
def _rmsprop_parts(
    w: Array, diff: Array, h: Array, gradient: Gradient, eta: float, rho: float, delta: float
) -> bool:
    finite = np.ones(-(-w.size // PART), np.bool_)
    for p in prange(finite.size):
        s = _part(p, w.size)
        finite[p] = _rmsprop(w[s], diff[s], h[s], gradient, eta, rho, delta)
    return bool(finite.all())


rmsprop = Rule(_rmsprop, _rmsprop_parts)


@kernel
def _adadelta(
    w: Array, diff: Array, h: Array, h2: Array, gradient: Gradient, eta: float, mu: float, delta: float
) -> bool:
    """Steps by their own mean square.

    h ← μh + (1 − μ)g²;  u = g · √((h₂ + δ) / (h + δ));  h₂ ← μh₂ + (1 − μ)u²;  diff = ηu.
    """
    T = w.dtype.type
    clip, norm, l2, l1 = _as_type_of(w, gradient)
    eta, mu, delta, one = T(eta), T(mu), T(delta), T(1)
    finite = True
    for i in range(w.size):
        g = regularize(normalize(diff[i], clip, norm), w[i], l2, l1)
        h[i] = mu * h[i] + (one - mu) * (g * g)
        u = g * math.sqrt((h2[i] + delta) / (h[i] + delta))
        h2[i] = mu * h2[i] + (one - mu) * (u * u)
        diff[i] = eta * u
        w[i] -= diff[i]
        finite &= is_finite(w[i])
    return finite


@parallel_kernel
def _adadelta_parts(
    w: Array, diff: Array, h: Array, h2: Array, gradient: Gradient, eta: float, mu: float, delta: float
) -> bool:
    finite = np.ones(-(-w.size // PART), np.bool_)
    for p in prange(finite.size):
        s = _part(p, w.size)
        finite[p] = _adadelta(w[s], diff[s], h[s], h2[s], gradient, eta, mu, delta)
    return bool(finite.all())


adadelta = Rule(_adadelta, _adadelta_parts)


@kernel
def _adam(
    w: Array, diff: Array, m: Array, v: Array, gradient: Gradient, eta: float, beta1: float, beta2: float,
    delta: float,
) -> bool:  # fmt: skip
    """First and second moments; η comes with the correction √(1 − β₂ᵗ) / (1 − β₁ᵗ).

    m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  diff = η · m / (√v + δ).
    """
    T = w.dtype.type
    clip, norm, l2, l1 = _as_type_of(w, gradient)
    eta, beta1, beta2, delta, one = T(eta), T(beta1), T(beta2), T(delta), T(1)
    finite = True
    for i in range(w.size):
        g = regularize(normalize(diff[i], clip, norm), w[i], l2, l1)
        m[i] = beta1 * m[i] + (one - beta1) * g
        v[i] = beta2 * v[i] + (one - beta2) * (g * g)
        diff[i] = eta * (m[i] / (math.sqrt(v[i]) + delta))
        w[i] -= diff[i]
        finite &= is_finite(w[i])
    return finite


@parallel_kernel
def _adam_parts(
    w: Array, diff: Array, m: Array, v: Array, gradient: Gradient, eta: float, beta1: float, beta2: float,
    delta: float,
) -> bool:  # fmt: skip
    finite = np.ones(-(-w.size // PART), np.bool_)
    for p in prange(finite.size):
        s = _part(p, w.size)
        finite[p] = _adam(w[s], diff[s], m[s], v[s], gradient, eta, beta1, beta2, delta)
    return bool(finite.all())


adam = Rule(_adam, _adam_parts)


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
        sums[p] = _sum_squares(x[_part(p, x.size)])
    return float(sums.sum())
