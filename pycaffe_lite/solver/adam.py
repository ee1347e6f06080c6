"""Adam: momentum and a rate for each parameter, both corrected for their start at zero."""

from __future__ import annotations

import math

from pycaffe_lite.errors import SolverError
from pycaffe_lite.kernels import update
from pycaffe_lite.solver.base import Solver
from pycaffe_lite.solver.registry import register_solver


@register_solver("Adam")
class AdamSolver(Solver):
    """Adaptive moments. β₁ is the setting `momentum` (no default: set it, say to 0.9), β₂ `momentum2`.

        t = iter + 1
        m ← β₁·m + (1 − β₁)·g
        v ← β₂·v + (1 − β₂)·g²
        w ← w − η·√(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + δ)

    Source: BVLC/caffe src/caffe/solvers/adam_solver.cpp; Kingma and Ba, 2014
    """

    rule = update.adam
    histories = 2

    def check_settings(self) -> None:
        """Adam further needs momentum below 1 and momentum2 at most 1, for its correction to be a number."""
        super().check_settings()
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
        delta = self.param.delta
        correction = math.sqrt(1 - beta2**t) / (1 - beta1**t)
        return eta * correction, beta1, beta2, delta
