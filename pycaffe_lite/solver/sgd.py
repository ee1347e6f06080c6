"""SGD: stochastic gradient descent with momentum."""

from __future__ import annotations

import numpy as np

from pycaffe_lite import random
from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import update
from pycaffe_lite.kernels.update import Gradient, Rule
from pycaffe_lite.solver import schedules
from pycaffe_lite.solver.base import Solver
from pycaffe_lite.solver.local_rates import Larc, LocalLrAuto
from pycaffe_lite.solver.parts import LocalRates
from pycaffe_lite.solver.registry import register_solver


@register_solver("SGD")
class SGDSolver(Solver):
    """Stochastic gradient descent with momentum.

        h ← μ·h + η·g
        w ← w − h

    The rate is part of h: a change of η does not change the momentum gathered so far.

    In forks, μ may change as training goes on (`momentum_policy`), each blob may have a rate of its own
    (`larc`, `local_lr_auto`), weight decay λ may stand apart, and numbers of h may be zeroed at random:

        regularization_type "WD" (NVIDIA)              w ← w − (h + η·λ·w)
        regularization_type "decoupled" (jolibrain)    h ← μ·h + ν·(η·g + λ·w), see `schedules`
        lr_dropout (jolibrain)                         h ← h or 0, before w is updated

    Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp
    """

    rule = update.sgd
    decays_apart = ("WD", "decoupled")

    def check_settings(self) -> None:
        """Finds out, further, whether momentum changes as training goes on."""
        super().check_settings()
        self._momentum_changes = self.param.momentum_policy != "fixed"

    @property
    def momentum(self) -> float:
        """μ now."""
        return schedules.momentum(self.param, self.iter, self.rate)

    def choose_rule(self) -> Rule:
        """Another kernel where weight decay stands apart, or numbers are dropped."""
        if self.param.regularization_type == "WD":
            return update.sgd_with_decay_apart
        return update.sgd_with_dropout if self.param.lr_dropout != 1 else self.rule

    def choose_local_rates(self) -> LocalRates | None:
        """LARC or local_lr_auto."""
        if self.param.larc:
            return Larc(self)
        return LocalLrAuto(self) if self.param.local_lr_auto else None

    def compute_update_value(self, eta: float) -> tuple[float, ...]:
        """η and μ."""
        return eta, self.momentum if self._momentum_changes else self.param.momentum

    def numbers(self, k: int, eta: float, clip: float, norm: float) -> tuple[float, ...]:
        """The kernel's numbers for parameter k."""
        kind = self.regularization
        if kind not in self.decays_apart:
            return super().numbers(k, eta, clip, norm)
        decay = self.weight_decay(k)
        if kind == "WD":
            return (*Gradient(clip, norm), *self.compute_update_value(eta), eta * decay)
        nu = schedules.restarted_cosine(self.param, self.iter + 1)
        return (*Gradient(clip, norm * eta * nu, l2=decay * nu), *self.compute_update_value(1.0))

    def update_history(self) -> list[Array]:
        """The history; with lr_dropout, then one array for each parameter that says what is kept."""
        if self.param.lr_dropout == 1:
            return self.history
        kept = [
            random.stream().bernoulli(h.size, self.param.lr_dropout, np.float64).astype(h.dtype)
            for h in self.history
        ]
        return [*self.history, *(k.reshape(h.shape) for k, h in zip(kept, self.history, strict=True))]
