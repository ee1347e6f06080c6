"""Rates of their own for the learnable blobs, by the norms of their values and gradients.

g is a blob's gradient, clipped and divided by iter_size, before weight decay; w are its values, h is its
history. lr_mult only says whether a blob is updated at all: its size has no effect.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels.update import sum_squares

if TYPE_CHECKING:
    from pycaffe_lite.solver.base import Solver

TURBO_MEMORY = 0.95  # of the mean of a blob's correlations
TURBO_WEIGHT = 0.9


def _norm(array: Array) -> float:
    return math.sqrt(sum_squares(array.ravel()))


class LocalLrAuto:
    """Intel's `local_lr_auto`: q = local_gw_ratio |w| / (|g| + λ|w|), and η q is a blob's rate.

    q is 1 where |w| or |g| is 0. λ is the solver's weight_decay, without decay_mult.

    Source: intel/caffe src/caffe/solvers/sgd_solver.cpp
    """

    def __init__(self, solver: Solver) -> None:
        self.solver = solver

    def rates(self, rate: float, factor: float) -> list[float]:
        """The rate of each blob. rate: the solver's. factor: what the gradients are to be multiplied by."""
        p, net = self.solver.param, self.solver.net
        rates = []
        for blob, lr_mult in zip(net.learnable_params, net.params_lr, strict=True):
            w, g = _norm(blob.data), factor * _norm(blob.diff)
            q = p.local_gw_ratio * w / (g + p.weight_decay * w) if w > 0 and g > 0 else 1.0
            rates.append(rate * q if lr_mult > 0 else 0.0)
        return rates


class Larc:
    """NVIDIA's `larc`: q = (1 − μ) larc_eta |w| / |g|, and 1 where |w| or |g| is 0.

    A blob's rate is η q with larc_policy "scale", min(η, q) with "clip". With larc_turbo, each blob has a c
    that starts at 0: c ← 0.95 c + 0.05 (g · h) / (|g| |h|), and q ← q − 0.9 c, which may fall below 0.

    Source: NVIDIA/caffe src/caffe/solvers/sgd_solver.cpp (0.17; without the factor 1 − μ in 0.16)
    """

    def __init__(self, solver: Solver) -> None:
        self.solver = solver
        self.correlations = [0.0] * len(solver.net.learnable_params)

    def rates(self, rate: float, factor: float) -> list[float]:
        """The rate of each blob. rate: the solver's. factor: what the gradients are to be multiplied by."""
        p = self.solver.param
        rates = []
        for k, lr_mult in enumerate(self.solver.net.params_lr):
            q = self._local_rate(k, factor)
            q = q if lr_mult > 0 else lr_mult
            rates.append(rate * q if p.larc_policy == "scale" else min(rate, q))
        return rates

    def _local_rate(self, k: int, factor: float) -> float:
        solver = self.solver
        blob, p = solver.net.learnable_params[k], solver.param
        w, g = _norm(blob.data), factor * _norm(blob.diff)
        q = (1 - solver.momentum) * p.larc_eta * w / g if w > 0 and g > 0 else 1.0
        return q - TURBO_WEIGHT * self._correlation(k) if p.larc_turbo else q

    def _correlation(self, k: int) -> float:
        """Moves the mean of the correlations of gradient and history, and returns it."""
        g, h = self.solver.net.learnable_params[k].diff, self.solver.history[k]
        norms = _norm(g) * _norm(h)
        now = float(np.sum(np.multiply(g, h, dtype=np.float64))) / norms if norms > 0 else 0.0
        self.correlations[k] = TURBO_MEMORY * self.correlations[k] + (1 - TURBO_MEMORY) * now
        return self.correlations[k]

    def state(self) -> bytes:
        """The correlations, as float64. The fork forgets them."""
        return struct.pack(f"<{len(self.correlations)}d", *self.correlations)

    def fits(self, state: bytes) -> bool:
        """Whether bytes are a state for as many blobs."""
        return len(state) == struct.calcsize(f"<{len(self.correlations)}d")

    def set_state(self, state: bytes) -> None:
        """Goes on from a state that fits; starts afresh if it is empty."""
        count = len(self.correlations)
        self.correlations = list(struct.unpack(f"<{count}d", state)) if state else [0.0] * count


class SagLarc(Larc):
    """LARC for solvers of type SAG: q = larc_eta |w| / |h|, and 1 where |w| or |h| is 0.

    With larc_turbo, from iteration 2 on, q ← q (1 − 0.9 c).

    Source: NVIDIA/caffe src/caffe/solvers/sag_solver.cpp
    """

    def _local_rate(self, k: int, factor: float) -> float:
        solver = self.solver
        w, h = _norm(solver.net.learnable_params[k].data), _norm(solver.history[k])
        q = solver.param.larc_eta * w / h if w > 0 and h > 0 else 1.0
        if solver.param.larc_turbo and solver.iter > 1:
            q *= 1 - TURBO_WEIGHT * self._correlation(k)
        return q
