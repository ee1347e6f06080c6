"""AdaDelta: steps whose size follows from the steps before, whatever the scale of the gradient."""

from __future__ import annotations

from pycaffe_lite.kernels import update
from pycaffe_lite.solver.base import Solver
from pycaffe_lite.solver.registry import register_solver


@register_solver("AdaDelta")
class AdaDeltaSolver(Solver):
    """AdaDelta. Its decay ρ is the setting `momentum`, here μ.

        h  ← μ·h + (1 − μ)·g²
        u  = g·√((h₂ + δ) / (h + δ))
        h₂ ← μ·h₂ + (1 − μ)·u²
        w  ← w − η·u

    Source: BVLC/caffe src/caffe/solvers/adadelta_solver.cpp; Zeiler, 2012
    """

    rule = update.adadelta
    histories = 2

    def compute_update_value(self, eta: float) -> tuple[float, ...]:
        """η, μ and δ."""
        mu = self.param.momentum
        delta = self.least_delta(1e-3)
        return eta, mu, delta
