"""Learning rate policies, by their formulas."""

import math

import numpy as np
import pytest

from pycaffe_lite.errors import SolverError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.solver.lr_policy import learning_rate
from pycaffe_lite.solver.rate import Progress


def rates(iterations, **settings):
    param = caffe_pb2.SolverParameter(**{"base_lr": 0.5, **settings})
    at, values = Progress(), []
    for i in iterations:
        value, at = learning_rate(param, i, at)
        values.append(value)
    return values


ITERATIONS = [0, 1, 4, 5, 6, 10, 99]


@pytest.mark.parametrize(
    ("settings", "formula"),
    [
        ({"lr_policy": "fixed"}, lambda i: 0.5),
        ({"lr_policy": "step", "gamma": 0.5, "stepsize": 5}, lambda i: 0.5 * 0.5 ** (i // 5)),
        ({"lr_policy": "exp", "gamma": 0.75}, lambda i: 0.5 * 0.75**i),
        ({"lr_policy": "inv", "gamma": 0.25, "power": 0.5}, lambda i: 0.5 / math.sqrt(1 + 0.25 * i)),
        ({"lr_policy": "poly", "power": 2, "max_iter": 100}, lambda i: 0.5 * (1 - i / 100) ** 2),
        (
            {"lr_policy": "sigmoid", "gamma": 0.25, "stepsize": 5},
            lambda i: 0.5 / (1 + math.exp(-0.25 * (i - 5))),
        ),
    ],
    ids=lambda value: value["lr_policy"] if isinstance(value, dict) else "",
)
def test_formula(settings, formula):
    np.testing.assert_allclose(rates(ITERATIONS, **settings), [formula(i) for i in ITERATIONS], rtol=1e-12)


def test_step_counts_its_steps():
    param = caffe_pb2.SolverParameter(base_lr=1, lr_policy="step", gamma=0.5, stepsize=3)
    assert [learning_rate(param, i, Progress()).progress.current_step for i in range(7)] == [
        0,
        0,
        0,
        1,
        1,
        1,
        2,
    ]


def test_multistep_takes_one_step_at_a_time(caplog):
    settings = {"lr_policy": "multistep", "gamma": 0.5, "stepvalue": [2, 2, 4]}
    assert rates(range(6), **settings) == [0.5, 0.5, 0.25, 0.125, 0.0625, 0.0625]
    caplog.clear()
    with caplog.at_level("INFO"):
        rates([1, 2], **settings)
    assert [r.getMessage() for r in caplog.records] == ["MultiStep Status: Iteration 2, step = 1"]


def test_multistep_catches_up_one_evaluation_after_another():
    settings = {"lr_policy": "multistep", "gamma": 0.5, "stepvalue": [2, 4]}
    assert rates([9, 9, 9], **settings) == [0.25, 0.125, 0.125]


def test_behind_its_end_poly_is_what_c_makes_of_it():
    assert math.isnan(rates([11], lr_policy="poly", power=0.5, max_iter=10)[0])
    assert rates([11], lr_policy="poly", power=2, max_iter=10)[0] == pytest.approx(0.5 * 0.01)


def test_rates_overflow_to_infinity_and_underflow_to_zero():
    assert rates([10**6], lr_policy="exp", gamma=2) == [math.inf]
    assert rates([0], lr_policy="sigmoid", gamma=1e6, stepsize=10**6) == [0.0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"lr_policy": "cosine"},
            "unknown lr_policy 'cosine' (known policies: exp, fixed, inv, multistep, poly, sigmoid, step; of "
            "forks: exp10, multifixed, plateau, pose, sgdr, smoothstep, stepdecr)",
        ),
        ({"lr_policy": "exp", "gamma": -1}, "lr_policy 'exp' needs gamma at least 0, got -1"),
        ({"lr_policy": "step", "gamma": 1}, "lr_policy 'step' needs stepsize above 0, got 0"),
        ({"lr_policy": "sigmoid", "stepsize": -2}, "lr_policy 'sigmoid' needs stepsize above 0, got -2"),
        ({"lr_policy": "poly"}, "lr_policy 'poly' needs max_iter above 0, got 0"),
    ],
    ids=lambda value: value["lr_policy"] if isinstance(value, dict) else "",
)
def test_what_a_policy_cannot_do_without(settings, message):
    with pytest.raises(SolverError) as caught:
        rates([0], **settings)
    assert str(caught.value) == message
