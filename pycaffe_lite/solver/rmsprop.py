"""RMSProp: a rate for each parameter, by the running mean of its squared gradients."""

from __future__ import annotations

from pycaffe_lite.errors import SolverError
from pycaffe_lite.kernels import update
from pycaffe_lite.solver.base import Solver
from pycaffe_lite.solver.registry import register_solver


@register_solver("RMSProp")
class RMSPropSolver(Solver):
    """Root mean square propagation.

        h ← ρ·h + (1 − ρ)·g²
        w ← w − η·g / (√h + δ)

    Source: BVLC/caffe src/caffe/solvers/rmsprop_solver.cpp; Tieleman and Hinton, 2012
    """

    rule = update.rmsprop
    takes_momentum = False

    def check_settings(self) -> None:
        """RMSProp further needs rms_decay from 0 up to, not including, 1."""
        super().check_settings()
        if not 0 <= self.param.rms_decay < 1:
            where = self.document.where(("rms_decay",))
            raise SolverError(
                f"{where}solver type RMSProp needs 0 <= rms_decay < 1, got {self.param.rms_decay:g}"
            )

    def compute_update_value(self, eta: float) -> tuple[float, ...]:
        """η, ρ and δ."""
        rho = self.param.rms_decay
        delta = self.least_delta(1e-4)
        return eta, rho, delta
