"""Adam: momentum and a rate for each parameter, both corrected for their start at zero."""

from __future__ import annotations

import math

import numpy as np

from pycaffe_lite.errors import SolverError
from pycaffe_lite.kernels import update
from pycaffe_lite.kernels.update import Gradient, Rule
from pycaffe_lite.solver import schedules
from pycaffe_lite.solver.base import Solver
from pycaffe_lite.solver.forks import is_jolibrains
from pycaffe_lite.solver.registry import register_solver


@register_solver("Adam")
class AdamSolver(Solver):
    """Adaptive moments. β₁ is the setting `momentum` (no default: set it, say to 0.9), β₂ `momentum2`.

        t = iter + 1
        m ← β₁·m + (1 − β₁)·g
        v ← β₂·v + (1 − β₂)·g²
        w ← w − η·√(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + δ)

    jolibrain's fork has these options. `gc` takes the mean of each blob's gradient away first. With
    `amsgrad`, v does not fall; with `adabelief`, v gathers (g − m)² in place of g². `rectified`, which is
    true there unless it is written, multiplies the step by k, or leaves out the division by √v + δ, which
    are large at first:

        ρ∞ = 2 / (1 − β₂) − 1,  ρ = ρ∞ − 2·t·β₂ᵗ / (1 − β₂ᵗ)
        k = √((ρ − 4)·(ρ − 2)·ρ∞ / ((ρ∞ − 4)·(ρ∞ − 2)·ρ))  where ρ > 4; else no division

    With regularization_type "decoupled", the step is ν·(step + λ·w), see `schedules.restarted_cosine`: that
    is the fork's GPU code; its code for CPUs forgets the decay.

    Source: BVLC/caffe src/caffe/solvers/adam_solver.cpp; Kingma and Ba, 2014; jolibrain/caffe
    src/caffe/solvers/adam_solver.cu; Reddi et al., 2018; Zhuang et al., 2020; Liu et al., 2019
    """

    rule = update.adam
    histories = 2
    decays_apart = ("decoupled",)

    def choose_rule(self) -> Rule:
        """The kernel with options, for jolibrain's settings."""
        return update.adam_with_options if is_jolibrains(self.param) else self.rule

    def numbers(self, k: int, eta: float, clip: float, norm: float) -> tuple[float, ...]:
        """The kernel's numbers for parameter k."""
        if not is_jolibrains(self.param):
            return super().numbers(k, eta, clip, norm)
        p, factor, divides = self.param, 1.0, True
        gradient, decay = Gradient(clip, norm), 0.0
        if p.regularization_type == "decoupled":
            factor = schedules.restarted_cosine(p, self.iter + 1)
            decay = factor * self.weight_decay(k)
        else:
            gradient = Gradient(clip, norm, *self.regularize(k))
        mean = self._mean_gradient(k, gradient) if p.gc else 0.0
        if p.rectified:
            rectifier = self._rectifier()
            factor, divides = factor * (rectifier or 1.0), rectifier is not None
        options = mean, float(p.amsgrad), float(p.adabelief), float(divides), decay
        return (*gradient, *self.compute_update_value(factor * eta), *options)

    def _mean_gradient(self, k: int, gradient: Gradient) -> float:
        """The mean of a blob's gradient, with weight decay's."""
        blob = self.net.learnable_params[k]
        mean = gradient.clip * gradient.norm * float(blob.diff.mean(dtype=np.float64))
        if gradient.l2:
            mean += gradient.l2 * float(blob.data.mean(dtype=np.float64))
        if gradient.l1:
            mean += gradient.l1 * float(np.sign(blob.data).mean(dtype=np.float64))
        return mean

    def _rectifier(self) -> float | None:
        """k; None where the step is not to be divided."""
        t, beta2 = self.iter + 1, self.param.momentum2
        last = 2 / (1 - beta2) - 1
        rho = last - 2 * t * beta2**t / (1 - beta2**t)
        if not rho > 4:
            return None
        return math.sqrt((rho - 4) * (rho - 2) * last / ((last - 4) * (last - 2) * rho))

    def check_settings(self) -> None:
        """Adam further needs momentum below 1 and momentum2 at most 1, for its correction to be a number."""
        super().check_settings()
        if is_jolibrains(self.param) and self.param.rectified and self.param.momentum2 >= 1:
            raise SolverError(
                f"{self.document.where(('momentum2',))}rectified Adam needs momentum2 < 1, got "
                f"{self.param.momentum2:g}"
            )
        if self.param.momentum >= 1 or self.param.momentum2 > 1:
            raise SolverError(
                f"{self.document.where(('momentum2',)) or self.document.where(('momentum',))}"
                "solver type Adam needs momentum < 1 and momentum2 <= 1, "
                f"got {self.param.momentum:g} and {self.param.momentum2:g}"
            )

    def compute_update_value(self, eta: float) -> tuple[float, ...]:
        """η with the correction, β₁, β₂ and δ."""
        t = self.iter + 1
        beta1, beta2 = self.param.momentum, self.param.momentum2
        delta = self.least_delta(1e-4)
        correction = math.sqrt(1 - beta2**t) / (1 - beta1**t)
        return eta * correction, beta1, beta2, delta
