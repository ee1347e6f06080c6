"""SGD: stochastic gradient descent with momentum."""

from __future__ import annotations

from pycaffe_lite.kernels import update
from pycaffe_lite.solver.base import Solver
from pycaffe_lite.solver.registry import register_solver


@register_solver("SGD")
class SGDSolver(Solver):
    """Stochastic gradient descent with momentum.

        h ← μ·h + η·g
        w ← w − h

    The rate is part of h: a change of η does not change the momentum gathered so far.

    Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp
    """

    rule = update.sgd

    def compute_update_value(self, eta: float) -> tuple[float, ...]:
        """η and μ."""
        mu = self.param.momentum
        return eta, mu
