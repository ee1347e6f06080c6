"""Solver updates: each rule against its equations in float64, with every combination of the other steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycaffe_lite.kernels import update
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads
from pycaffe_lite.kernels.runtime.steps import PIECE
from pycaffe_lite.kernels.update import NEAR, PART, Gradient


def momentum(w, g, history, eta, mu):
    (h,) = history
    h[...] = mu * h + eta * g
    return h


def nesterov(w, g, history, eta, mu):
    (h,) = history
    before = h.copy()
    h[...] = mu * h + eta * g
    return (1 + mu) * h - mu * before


def adagrad(w, g, history, eta, delta):
    (h,) = history
    h += g**2
    return eta * g / (np.sqrt(h) + delta)


def rmsprop(w, g, history, eta, rho, delta):
    (h,) = history
    h[...] = rho * h + (1 - rho) * g**2
    return eta * g / (np.sqrt(h) + delta)


def adadelta(w, g, history, eta, mu, delta):
    h, h2 = history
    h[...] = mu * h + (1 - mu) * g**2
    u = g * np.sqrt((h2 + delta) / (h + delta))
    h2[...] = mu * h2 + (1 - mu) * u**2
    return eta * u


def adam(w, g, history, eta, beta1, beta2, delta):
    m, v = history
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * g**2
    return eta * m / (np.sqrt(v) + delta)


def momentum_with_decay_apart(w, g, history, eta, mu, decay):
    return momentum(w, g, history, eta, mu) + decay * w


def momentum_with_dropout(w, g, history, eta, mu):
    h, kept = history
    h[...] = kept * (mu * h + eta * g)
    return h


def adam_with_options(w, g, history, eta, beta1, beta2, delta, mean, never_falls, from_mean, divides, decay):
    m, v = history
    g = g - mean
    m[...] = beta1 * m + (1 - beta1) * g
    d = g - m if from_mean else g
    moment = beta2 * v + (1 - beta2) * d**2
    v[...] = np.maximum(v, moment) if never_falls else moment
    return eta * (m / (np.sqrt(v) + delta) if divides else m) + decay * w


RULES = {
    "sgd": (update.sgd, momentum, 1, (0.01, 0.9)),
    "nesterov": (update.nesterov, nesterov, 1, (0.01, 0.9)),
    "adagrad": (update.adagrad, adagrad, 1, (0.01, 1e-6)),
    "rmsprop": (update.rmsprop, rmsprop, 1, (0.01, 0.95, 1e-6)),
    "adadelta": (update.adadelta, adadelta, 2, (1.0, 0.95, 1e-5)),
    "adam": (update.adam, adam, 2, (0.002, 0.9, 0.99, 1e-7)),
    "sgd with decay apart": (update.sgd_with_decay_apart, momentum_with_decay_apart, 1, (0.01, 0.9, 0.05)),
    "sgd with dropout": (update.sgd_with_dropout, momentum_with_dropout, 2, (0.01, 0.9)),
    **{
        f"adam with options {options}": (
            update.adam_with_options,
            adam_with_options,
            2,
            (0.002, 0.9, 0.99, 1e-7, *options),
        )
        for options in ((0.25, 1, 0, 1, 0.0), (0.0, 0, 1, 1, 0.05), (0.0, 0, 0, 0, 0.0))
    },
}
GRADIENTS = [
    Gradient(),
    Gradient(clip=0.25),
    Gradient(norm=1 / 3),
    Gradient(l2=0.05),
    Gradient(l1=0.05),
    Gradient(0.5, 0.5, 0.1, 0.0),
]


def arrays(count, histories, dtype, seed=0):
    random = np.random.default_rng(seed)
    w, diff = random.standard_normal((2, count)).astype(dtype)
    w[:: max(count // 5, 1)] = 0  # sign(0) is 0
    return [w, diff, *np.abs(random.standard_normal((histories, count))).astype(dtype)]


def reference(formula, arrays, gradient, numbers):
    w, diff, *history = (a.astype(np.float64) for a in arrays)
    g = diff * gradient.clip * gradient.norm
    g = g + gradient.l2 * w + gradient.l1 * np.sign(w)
    diff = formula(w, g, history, *numbers)
    return [w - diff, diff, *history]


def run(rule, arrays, gradient, numbers):
    """Whether w is finite after an update."""
    finite = np.ones(1, np.int64)
    rule(arrays, np.array([*gradient, *numbers]), finite)
    return bool(finite[0])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("dtype", "relative"), [(np.float32, 2e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("gradient", GRADIENTS, ids=str)
def test_two_updates_follow_the_equations(rule, gradient, dtype, relative):
    rule, formula, histories, numbers = RULES[rule]
    mine = arrays(37, histories, dtype)
    wanted = mine
    for _ in range(2):
        wanted = reference(formula, wanted, gradient, numbers)
        assert run(rule, mine, gradient, numbers)
    for got, want in zip(mine, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=relative, atol=relative)


@pytest.mark.parametrize("rule", RULES)
def test_each_number_is_updated_by_the_formula(rule):
    rule, _, histories, numbers = RULES[rule]
    gradient = Gradient(0.5, 0.25, 0.1, 0.0)
    mine = arrays(5, histories, np.float64)
    wanted = [array.tolist() for array in mine]
    for i, (w, diff, *history) in enumerate(zip(*wanted, strict=True)):
        g = update.regularize(update.normalize(diff, 0.5, 0.25), w, 0.1, 0.0)
        diff, *history = rule.py_func(g, *([w] if rule.takes_weight else []), *history, *numbers)
        for array, number in zip(wanted, (w - diff, diff, *history), strict=True):
            array[i] = number
    run(rule, mine, gradient, numbers)
    np.testing.assert_array_equal(mine, wanted)


@pytest.mark.parametrize(
    ("w", "l2", "l1", "wanted"),
    [(3, 0.5, 0, 2.5), (-3, 0.5, 0, -0.5), (3, 0, 0.5, 1.5), (-3, 0, 0.5, 0.5), (0, 0, 0.5, 1), (3, 0, 0, 1)],
)
def test_regularize(w, l2, l1, wanted):
    assert update.regularize(1.0, w, l2, l1) == wanted


@pytest.fixture
def threads():
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("count", [0, 1, PIECE, 2 * PIECE + 5, NEAR + 5])
def test_pieces_and_threads_change_nothing(rule, count, threads):
    rule, _, histories, numbers = RULES[rule]
    gradient = Gradient(0.5, 0.5, 0.1, 0.0)
    results = []
    for number in (1, 2):
        threads(number)
        results.append(arrays(count, histories, np.float32))
        run(rule, results[-1], gradient, numbers)
    results.append(arrays(count, histories, np.float32))
    for start in range(0, count, 1000):
        run(rule, [array[start : start + 1000] for array in results[-1]], gradient, numbers)
    for one, two, little_by_little in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, little_by_little)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, PIECE, 2 * PIECE + 4])
def test_says_when_a_weight_is_no_longer_finite(rule, bad, place):
    rule, _, histories, numbers = RULES[rule]
    mine = arrays(2 * PIECE + 5, histories, np.float32)
    mine[0][place] = bad
    assert not run(rule, mine, Gradient(), numbers)


@given(st.integers(0, 3 * PART), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_sum_of_squares(count, seed):
    x = np.random.default_rng(seed).standard_normal(count).astype(np.float32)
    assert update.sum_squares(x) == pytest.approx(float((x.astype(np.float64) ** 2).sum()), rel=1e-12)


def test_sum_of_squares_does_not_depend_on_threads(threads):
    x = np.random.default_rng(1).standard_normal(5 * PART + 3).astype(np.float32)
    sums = set()
    for number in (1, 2):
        threads(number)
        sums.add(update.sum_squares(x))
    assert len(sums) == 1
