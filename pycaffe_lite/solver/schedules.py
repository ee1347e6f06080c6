"""Momentum and weight decay that change as training goes on, as in NVIDIA's and jolibrain's forks.

Sources: NVIDIA/caffe and jolibrain/caffe src/caffe/solvers/sgd_solver.cpp
"""

from __future__ import annotations

import math

from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.solver.rate import power


def momentum(p: caffe_pb2.SolverParameter, i: int, rate: float) -> float:
    """μ of iteration i (NVIDIA).

    fixed   momentum
    poly    momentum + (max_momentum − momentum) · (i / max_iter)^momentum_power
    opt     (1 − ½√η)², with the solver's rate η, and max_momentum at most, if that is given
    """
    if p.momentum_policy == "poly":
        return p.momentum + (p.max_momentum - p.momentum) * power(i / p.max_iter, p.momentum_power)
    if p.momentum_policy == "opt":
        best = (1 - 0.5 * math.sqrt(rate)) ** 2
        return min(best, p.max_momentum) if p.HasField("max_momentum") else best
    return p.momentum


def weight_decay(p: caffe_pb2.SolverParameter, i: int) -> float:
    """λ of iteration i, without decay_mult (NVIDIA).

    poly    weight_decay + (max_weight_decay − weight_decay) · (i / max_iter)^weight_decay_power
    any other name: weight_decay
    """
    if p.weight_decay_policy == "poly":
        share = power(i / p.max_iter, p.weight_decay_power)
        return p.weight_decay + (p.max_weight_decay - p.weight_decay) * share
    return p.weight_decay


def restarted_cosine(p: caffe_pb2.SolverParameter, t: int) -> float:
    """ν of update t = 1, 2, ...: by it regularization_type "decoupled" multiplies updates (jolibrain).

    ν = ½ + ½ cos(π (t − T₀) / T). When t reaches T₀ + T, T₀ moves there, T is multiplied by
    decoupled_wd_mult, and ν is 1. T₀ is 0 at first, and T decoupled_wd_t0.
    """
    start, length, just_restarted = 0.0, float(p.decoupled_wd_t0), False
    while t >= start + length:
        start, length = start + length, length * p.decoupled_wd_mult
        just_restarted = t - 1 < start
    return 1.0 if just_restarted else 0.5 + 0.5 * math.cos(math.pi * (t - start) / length)
