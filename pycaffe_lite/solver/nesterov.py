"""Nesterov: SGD that looks ahead along its momentum."""

from __future__ import annotations

from pycaffe_lite.kernels import update
from pycaffe_lite.solver.base import Solver
from pycaffe_lite.solver.registry import register_solver


@register_solver("Nesterov")
class NesterovSolver(Solver):
    """Nesterov's accelerated gradient.

        h' = h
        h ← μ·h + η·g
        w ← w − ((1 + μ)·h − μ·h')

    Source: BVLC/caffe src/caffe/solvers/nesterov_solver.cpp; Sutskever et al., 2013
    """

    rule = update.nesterov

    def compute_update_value(self, eta: float) -> tuple[float, ...]:
        """η and μ."""
        mu = self.param.momentum
        return eta, mu
