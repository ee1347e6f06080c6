"""Learning rate policies: the rate of an iteration, from the solver's settings.

Each policy is a function of the settings, the iteration and the number of rate steps taken so far; it
returns the rate and the number of steps taken now. Letters: η₀ is base_lr, γ gamma, i the iteration.

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

log = logging.getLogger(__name__)


class Rate(NamedTuple):
    """A learning rate, and how many of its steps a stepwise policy has taken to get there."""

    value: float
    current_step: int


def fixed(p: caffe_pb2.SolverParameter, i: int, current_step: int) -> Rate:
    """η = η₀."""
    return Rate(p.base_lr, current_step)


def step(p: caffe_pb2.SolverParameter, i: int, current_step: int) -> Rate:
    """η = η₀ · γ^⌊i / stepsize⌋."""
    current_step = i // p.stepsize
    return Rate(p.base_lr * _power(p.gamma, current_step), current_step)


def exp(p: caffe_pb2.SolverParameter, i: int, current_step: int) -> Rate:
    """η = η₀ · γ^i."""
    return Rate(p.base_lr * _power(p.gamma, i), current_step)


def inv(p: caffe_pb2.SolverParameter, i: int, current_step: int) -> Rate:
    """η = η₀ · (1 + γ · i)^−power."""
    return Rate(p.base_lr * _power(1 + p.gamma * i, -p.power), current_step)


def multistep(p: caffe_pb2.SolverParameter, i: int, current_step: int) -> Rate:
    """η = η₀ · γ^(stepvalues reached).

    Each evaluation takes at most one step, so two stepvalues in one place need two iterations.
    """
    if current_step < len(p.stepvalue) and i >= p.stepvalue[current_step]:
        current_step += 1
        log.info("MultiStep Status: Iteration %d, step = %d", i, current_step)
    return Rate(p.base_lr * _power(p.gamma, current_step), current_step)


def poly(p: caffe_pb2.SolverParameter, i: int, current_step: int) -> Rate:
    """η = η₀ · (1 − i / max_iter)^power: 0 at the end; after it NaN, unless power is whole."""
    return Rate(p.base_lr * _power(1 - i / p.max_iter, p.power), current_step)


def sigmoid(p: caffe_pb2.SolverParameter, i: int, current_step: int) -> Rate:
    """η = η₀ / (1 + e^(−γ · (i − stepsize)))."""
    with np.errstate(over="ignore"):
        decay = float(np.exp(np.float64(-p.gamma * (i - p.stepsize))))
    return Rate(p.base_lr / (1 + decay), current_step)


def _power(base: float, exponent: float) -> float:
    """base^exponent as C computes it: infinite if it overflows, NaN if it is not real."""
    with np.errstate(all="ignore"):
        return float(np.power(np.float64(base), np.float64(exponent)))


class Policy(NamedTuple):
    """A policy and the settings that it needs: gamma of at least 0, the others above 0."""

    rate: Callable[[caffe_pb2.SolverParameter, int, int], Rate]
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

# Policies that forks have added, and the names of these forks.
FORKS = {
    "exp10": "TSN",
    "multifixed": "Intel, MobileNet-YOLO",
    "plateau": "SSD, Intel",
    "pose": "CC5.0",
    "sgdr": "jolibrain",
    "smoothstep": "Cysu",
    "stepdecr": "Cysu",
}


def policy_of(param: caffe_pb2.SolverParameter) -> Policy:
    """The policy that the settings name; makes sure that what it needs is set.

    Raises:
        SolverError: an unknown lr_policy, or a setting that it needs is missing or out of range.
    """
    policy = POLICIES.get(param.lr_policy)
    if policy is None:
        meant = ""
        if forks := FORKS.get(param.lr_policy):
            meant = f", which only forks have ({forks})"
        elif close := nearest(param.lr_policy, POLICIES):
            meant = f", did you mean '{close}'?"
        raise SolverError(
            f"unknown lr_policy '{param.lr_policy}'{meant} (known policies: {', '.join(POLICIES)})"
        )
    for name in policy.needs:
        value = getattr(param, name)
        if value < 0 or (value == 0 and name != "gamma"):
            bound = "at least 0" if name == "gamma" else "above 0"
            raise SolverError(f"lr_policy '{param.lr_policy}' needs {name} {bound}, got {value:g}")
    return policy


def learning_rate(param: caffe_pb2.SolverParameter, iteration: int, current_step: int) -> Rate:
    """The rate of an iteration, by the policy that the settings name."""
    return policy_of(param).rate(param, iteration, current_step)
