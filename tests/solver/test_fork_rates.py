"""Learning rates of forks, by loops written from their descriptions."""

import logging
import math

import numpy as np
import pytest

from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.solver.lr_policy import learning_rate
from pycaffe_lite.solver.rate import Progress


def rates(iterations, losses=None, **settings):
    """The rates of iterations, asked for in order."""
    param = caffe_pb2.SolverParameter(**{"base_lr": 0.5, "lr_policy": "fixed", **settings})
    at, values = Progress(), []
    for i in iterations:
        value, at = learning_rate(param, i, at._replace(loss=losses[i] if losses else math.inf))
        values.append(value)
    return values


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_warm_up_leads_in_a_line_to_a_policy_that_sees_the_true_iteration():
    settings = {"lr_policy": "step", "gamma": 0.5, "stepsize": 3, "warmup_iter": 4, "warmup_start_lr": 0.1}
    wanted = [(i * 0.5 + (4 - i) * 0.1) / 4 if i < 4 else 0.5 * 0.5 ** (i // 3) for i in range(9)]
    close(rates(range(9), **settings), wanted)


def test_multistep_catches_up_with_steps_from_inside_the_warm_up():
    settings = {"lr_policy": "multistep", "gamma": 0.5, "stepvalue": [1, 2], "warmup_iter": 4}
    close(rates(range(6), **settings), [0, 0.125, 0.25, 0.375, 0.25, 0.125])


def test_multifixed_still_has_the_old_rate_at_its_stageiter():
    settings = {"lr_policy": "multifixed", "stagelr": [0.5, 0.25, 0.125], "stageiter": [2, 3, 5]}
    close(rates(range(8), **settings), [0.5, 0.5, 0.5, 0.25, 0.125, 0.125, 0.125, 0.125])
    close(rates(range(3), warmup_iter=2, **settings), [0, 0.25, 0.5])


def test_plateau_steps_after_its_window_without_a_smaller_loss(caplog):
    losses = [3.0, 2.0, 2.0, 2.5, 1.5, 1.5, 1.6, 1.5, 1.7, 9.0]
    wanted, smallest, event, step = [], math.inf, 0, 0
    for i, loss in enumerate(losses):
        if loss < smallest:
            smallest, event = loss, i
        if step < 2 and i >= event + [2, 3][step]:
            step, event = step + 1, i
        wanted.append(0.5 * 0.1**step)
    settings = {"lr_policy": "plateau", "gamma": 0.1, "plateau_winsize": [2, 3], "display": 2}
    with caplog.at_level(logging.INFO, "pycaffe_lite.solver"):
        close(rates(range(10), losses, **settings), wanted)
    assert len({*wanted}) == 3
    assert caplog.messages[:4] == [
        "Plateau Status: Iteration 0, current minimum_loss = 3",
        "Plateau Status: Iteration 2, current minimum_loss = 2",
        "Plateau Status: Iteration 3, step = 1",
        "Plateau Status: Iteration 4, current minimum_loss = 1.5",
    ]


@pytest.mark.parametrize(
    ("settings", "formula"),
    [
        ({"lr_policy": "stepdecr", "gamma": 0.25, "stepsize": 3}, lambda i: 0.5 * (1 - 0.25 * (i // 3))),
        ({"lr_policy": "smoothstep", "gamma": 0.25, "stepsize": 3}, lambda i: 0.5 * 0.25 ** (i / 3)),
        ({"lr_policy": "exp10", "stepsize": 5}, lambda i: 0.5 * 10 ** (-i / 5)),
        ({"min_lr": 0.125, "lr_policy": "exp", "gamma": 0.5}, lambda i: max(0.5 * 0.5**i, 0.125)),
        (
            {"min_lr": -0.25, "lr_policy": "stepdecr", "gamma": 0.5, "stepsize": 1},
            lambda i: max(0.5 * (1 - 0.5 * i), -0.25),
        ),
        (
            {"min_lr": 0.125, "lr_policy": "poly", "power": 2, "max_iter": 20},
            lambda i: 0.375 * (1 - i / 20) ** 2 + 0.125,
        ),
        (
            {"rampup_interval": 4, "rampup_lr": 0.1, "min_lr": 0.15},
            lambda i: max(0.1 + 0.4 * (i / 4) ** 2 if i < 4 else 0.5, 0.15),
        ),
        # jolibrain reads min_lr for sgdr only
        ({"min_lr": 0.25, "lr_policy": "exp", "gamma": 0.5, "amsgrad": True}, lambda i: 0.5 * 0.5**i),
    ],
)
def test_formulas(settings, formula):
    close(rates(range(18), **settings), [formula(i) for i in range(18)])


def test_pose():
    settings = {"lr_policy": "pose", "gamma": 0.001, "power": 0.75}
    iterations = [0, 99, 100, 950, 1000, 1299, 1300, 1301, 5000]
    factors = [0.1, 0.1, 0.2, 1.0, 1.1, 1.3, 1.4, 1, 1]
    wanted = [f * 0.5 * (1 + 0.001 * i) ** -0.75 for f, i in zip(factors, iterations, strict=True)]
    close(rates(iterations, **settings), wanted)


@pytest.mark.parametrize("given", [{}, {"min_lr": 0.0625}])
def test_cosines_with_restarts(given):
    least = given.get("min_lr", 1e-6)
    largest, period, start, wanted = 0.5, 3, 0, []
    for i in range(20):
        if i == start + period:
            period, largest, start = int(period * 1.5), largest * 0.75, i
        wanted.append(least + (largest - least) / 2 * (1 + math.cos(math.pi * (i - start) / period)))
    settings = {"lr_policy": "sgdr", "period": 3, "p_mult": 1.5, "lr_mult": 0.75}
    close(rates(range(20), **settings, **given), wanted)


def test_a_restart_inside_the_warm_up_is_lost():
    settings = {"lr_policy": "sgdr", "period": 2, "warmup_iter": 4, "min_lr": 0.25}
    wanted = [0.25 + 0.125 * (1 + math.cos(math.pi * i / 2)) for i in range(4, 9)]
    close(rates(range(9), **settings)[4:], wanted)


def test_without_a_period_there_is_one_cosine():
    settings = {"lr_policy": "sgdr", "max_iter": 8, "min_lr": 0}
    close(rates(range(8), **settings), [0.25 * (1 + math.cos(math.pi * i / 8)) for i in range(8)])
