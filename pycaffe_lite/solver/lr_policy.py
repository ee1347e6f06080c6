"""Learning rate policies: the rate of an iteration, from the solver's settings.

Each policy is a function of the settings, the iteration and how far it has got; it returns the rate and how
far it has got now. Letters: η₀ is base_lr, γ gamma, i the iteration. These are Caffe's own; `fork_rates` has
those of forks, and what forks put before and behind a policy.

Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp, GetLearningRate
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pycaffe_lite.errors import SolverError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.text_slips import nearest
from pycaffe_lite.solver import fork_rates
from pycaffe_lite.solver.rate import Progress, Rate, power

log = logging.getLogger(__name__)


def fixed(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = η₀."""
    return Rate(p.base_lr, at)


def step(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = η₀ · γ^⌊i / stepsize⌋."""
    step = i // p.stepsize
    return Rate(p.base_lr * power(p.gamma, step), at._replace(current_step=step))


def exp(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = η₀ · γ^i."""
    return Rate(p.base_lr * power(p.gamma, i), at)


def inv(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = η₀ · (1 + γ · i)^−power."""
    return Rate(p.base_lr * power(1 + p.gamma * i, -p.power), at)


def multistep(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = η₀ · γ^(stepvalues reached).

    Each evaluation takes at most one step, so two stepvalues in one place need two iterations.
    """
    step = at.current_step
    if step < len(p.stepvalue) and i >= p.stepvalue[step]:
        step += 1
        log.info("MultiStep Status: Iteration %d, step = %d", i, step)
    return Rate(p.base_lr * power(p.gamma, step), at._replace(current_step=step))


def poly(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = η₀ · (1 − i / max_iter)^power: 0 at the end; after it NaN, unless power is whole."""
    return Rate(p.base_lr * power(1 - i / p.max_iter, p.power), at)


def sigmoid(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = η₀ / (1 + e^(−γ · (i − stepsize)))."""
    with np.errstate(over="ignore"):
        decay = float(np.exp(np.float64(-p.gamma * (i - p.stepsize))))
    return Rate(p.base_lr / (1 + decay), at)


class Policy(NamedTuple):
    """A policy and the settings that it needs: gamma of at least 0, the others above 0."""

    rate: Callable[[caffe_pb2.SolverParameter, int, Progress], Rate]
    needs: Sequence[str] = ()


POLICIES = {
    "exp": Policy(exp, ["gamma"]),
    "fixed": Policy(fixed),
    "inv": Policy(inv, ["gamma"]),
    "multistep": Policy(multistep, ["gamma"]),
    "poly": Policy(poly, ["max_iter"]),
    "sigmoid": Policy(sigmoid, ["gamma", "stepsize"]),
    "step": Policy(step, ["gamma", "stepsize"]),
}

# Policies that forks have added.
FORKS = {
    "exp10": Policy(fork_rates.exp10, ["stepsize"]),
    "multifixed": Policy(fork_rates.multifixed),
    "plateau": Policy(fork_rates.plateau, ["gamma"]),
    "pose": Policy(fork_rates.pose, ["gamma"]),
    "sgdr": Policy(fork_rates.sgdr),
    "smoothstep": Policy(fork_rates.smoothstep, ["gamma", "stepsize"]),
    "stepdecr": Policy(fork_rates.stepdecr, ["stepsize"]),
}


def policy_of(param: caffe_pb2.SolverParameter) -> Policy:
    """The policy that the settings name; makes sure that what it needs is set.

    Raises:
        SolverError: an unknown lr_policy, or a setting that it needs is missing or out of range.
    """
    name = param.lr_policy
    policy = POLICIES.get(name) or FORKS.get(name)
    if policy is None:
        close = nearest(name, [*POLICIES, *FORKS])
        meant = f", did you mean '{close}'?" if close else ""
        raise SolverError(
            f"unknown lr_policy '{name}'{meant} (known policies: {', '.join(POLICIES)}; of forks: "
            f"{', '.join(FORKS)})"
        )
    for needed in policy.needs:
        value = getattr(param, needed)
        if value < 0 or (value == 0 and needed != "gamma"):
            bound = "at least 0" if needed == "gamma" else "above 0"
            raise SolverError(f"lr_policy '{name}' needs {needed} {bound}, got {value:g}")
    return policy


def learning_rate(param: caffe_pb2.SolverParameter, iteration: int, at: Progress) -> Rate:
    """The rate of an iteration, by the policy that the settings name and what forks add to it."""
    policy = policy_of(param)
    early = fork_rates.early_rate(param, iteration)
    rate = policy.rate(param, iteration, at) if early is None else Rate(early, at)
    return rate._replace(
        value=fork_rates.with_floor(param, iteration, rate.value, is_early=early is not None)
    )
