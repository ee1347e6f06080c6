"""Learning rate policies that forks have added, and what forks put before and behind a policy.

Letters: η₀ is base_lr, γ gamma, i the iteration. Each rule only changes the rate of an iteration: lr_mult,
clipping, weight decay and the rest are as ever.

Sources: intel/caffe, jolibrain/caffe, NVIDIA/caffe, yjxiong/caffe src/caffe/solvers/sgd_solver.cpp; Cysu's
and CC5.0's forks
"""

from __future__ import annotations

import logging
import math

import numpy as np

from pycaffe_lite.errors import SolverError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.solver.forks import is_jolibrains
from pycaffe_lite.solver.rate import Progress, Rate, power

log = logging.getLogger(__name__)

SGDR_MIN_LR = 1e-6  # jolibrain's default
POSE_LAST = 1300  # the last iteration that lr_policy pose multiplies the rate of


# ------------------------------------------------------------------------------------------ the policies


def multifixed(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = stagelr[s] (Intel), with s the first index whose stageiter is at least i, or the last index."""
    stages = zip(p.stagelr, p.stageiter, strict=True)
    return Rate(next((rate for rate, last in stages if i <= last), p.stagelr[-1]), at)


def plateau(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = η₀ · γ^(steps taken) (SSD): a step after plateau_winsize iterations without a smaller loss.

    The loss is the smoothed one. Each step has a plateau_winsize of its own; after the last of them the rate
    stays.
    """
    loss = float(np.float32(at.loss))  # what a state keeps of it
    if loss < at.minimum_loss:
        at = at._replace(minimum_loss=loss, last_event=i)
    step = at.current_step
    if step < len(p.plateau_winsize) and i >= at.last_event + p.plateau_winsize[step]:
        at = at._replace(current_step=step + 1, last_event=i)
        log.info("Plateau Status: Iteration %d, step = %d", i, step + 1)
    if p.display > 0 and i % p.display == 0 and at.last_event > i - p.display:
        log.info("Plateau Status: Iteration %d, current minimum_loss = %g", i, at.minimum_loss)
    return Rate(p.base_lr * power(p.gamma, at.current_step), at)


def stepdecr(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = η₀ · (1 − γ · ⌊i / stepsize⌋) (Cysu), which falls below 0 in the end."""
    return Rate(p.base_lr * (1 - p.gamma * (i // p.stepsize)), at)


def smoothstep(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = η₀ · γ^(i / stepsize) (Cysu)."""
    return Rate(p.base_lr * power(p.gamma, i / p.stepsize), at)


def exp10(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = η₀ · 10^(−i / stepsize) (TSN)."""
    return Rate(p.base_lr * power(10, -i / p.stepsize), at)


def pose(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """η = η₀ · (1 + γ · i)^−power (CC5.0), up to iteration 1300 times (⌊i / 100⌋ + 1) / 10.

    In the fork, too, that factor is above 1 from iteration 1000 to 1300.
    """
    factor = 0.1 * (i // 100 + 1) if i <= POSE_LAST else 1.0
    return Rate(factor * p.base_lr * power(1 + p.gamma * i, -p.power), at)


def sgdr(p: caffe_pb2.SolverParameter, i: int, at: Progress) -> Rate:
    """Cosines with restarts (jolibrain): η = η_min + ½ (η_max − η_min)(1 + cos(π (i − start) / period)).

    η_max is η₀ at first and is multiplied by lr_mult at each restart, period by p_mult, and start is the
    iteration of the last restart. A restart inside a warm-up does not take place, so that there is none
    after it either.
    """
    largest, period = _sgdr_cycle(p, at.current_step)
    if i == at.last_event + period:
        at = at._replace(current_step=at.current_step + 1, last_event=i)
        largest, period = _sgdr_cycle(p, at.current_step)
    least = p.min_lr if p.HasField("min_lr") else SGDR_MIN_LR
    cosine = math.cos((i - at.last_event) / period * math.pi)
    return Rate(least + 0.5 * (largest - least) * (1 + cosine), at)


def _sgdr_cycle(p: caffe_pb2.SolverParameter, restarts: int) -> tuple[float, int]:
    """The largest rate and the length of the cycle after a number of restarts."""
    largest, period = p.base_lr, p.period if p.period > 0 else p.max_iter
    for _ in range(restarts):
        largest, period = largest * p.lr_mult, int(period * p.p_mult)
    return largest, max(period, 1)


# ------------------------------------------------------------------------------- before and behind a policy


def early_rate(p: caffe_pb2.SolverParameter, i: int) -> float | None:
    """The rate of an early iteration, before the policy is asked at all; None later on.

    Warm-up (Intel, jolibrain) leads from warmup_start_lr to η₀ in a line, ramp-up (NVIDIA) from rampup_lr
    along a parabola. The policy then sees the true i. As it is not asked before, multistep catches up with
    steps from inside the warm-up, one in each iteration.
    """
    if i < p.warmup_iter:
        return (i * p.base_lr + (p.warmup_iter - i) * p.warmup_start_lr) / p.warmup_iter
    if i < p.rampup_interval:
        return p.rampup_lr + (p.base_lr - p.rampup_lr) * (i / p.rampup_interval) ** 2
    return None


def with_floor(p: caffe_pb2.SolverParameter, i: int, rate: float, *, is_early: bool) -> float:
    """The rate with regard to min_lr, which forks take for different things.

    For jolibrain it belongs to sgdr alone. For Cysu and NVIDIA it is the least rate; for NVIDIA (0.17), poly
    further leads to it: η = (η₀ − min_lr) (1 − i / max_iter)^power + min_lr. Of Cysu's solvers, none is
    known that has poly, so poly is taken for NVIDIA's.
    """
    if not p.HasField("min_lr") or is_jolibrains(p):
        return rate
    if p.lr_policy == "poly" and not is_early:
        rate = (p.base_lr - p.min_lr) * power(1 - i / p.max_iter, p.power) + p.min_lr
    return max(rate, p.min_lr)


def check(p: caffe_pb2.SolverParameter) -> None:
    """Checks the settings that are about the rate.

    Raises:
        SolverError: they contradict each other, or one is missing.
    """
    if p.warmup_iter > 0 and p.rampup_interval > 0:
        raise SolverError("no fork has both warmup_iter (Intel, jolibrain) and rampup_interval (NVIDIA)")
    if p.lr_policy == "multifixed" and not len(p.stagelr) == len(p.stageiter) > 0:
        raise SolverError(
            "lr_policy 'multifixed' needs as many stagelr as stageiter, and at least one, got "
            f"{len(p.stagelr)} and {len(p.stageiter)}"
        )
    if p.lr_policy == "sgdr" and p.period <= 0 and p.max_iter <= 0:
        raise SolverError("lr_policy 'sgdr' needs a period or max_iter above 0")
    if p.min_lr < 0 and p.lr_policy not in ("stepdecr", "smoothstep"):
        raise SolverError(f"min_lr must be at least 0, got {p.min_lr:g}")
    if p.lr_policy == "poly" and p.min_lr > p.base_lr and not is_jolibrains(p):
        raise SolverError(
            f"lr_policy 'poly' leads from base_lr {p.base_lr:g} down to min_lr, got {p.min_lr:g}"
        )
