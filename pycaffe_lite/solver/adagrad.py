"""AdaGrad: a rate for each parameter, by the sum of its squared gradients."""

from __future__ import annotations

from pycaffe_lite.kernels import update
from pycaffe_lite.solver.base import Solver
from pycaffe_lite.solver.registry import register_solver


@register_solver("AdaGrad")
class AdaGradSolver(Solver):
    """Adaptive gradient.

        h ← h + g²
        w ← w − η·g / (√h + δ)

    Source: BVLC/caffe src/caffe/solvers/adagrad_solver.cpp; Duchi et al., 2011
    """

    rule = update.adagrad
    takes_momentum = False

    def compute_update_value(self, eta: float) -> tuple[float, ...]:
        """η and δ."""
        delta = self.least_delta(1e-3)
        return eta, delta
