"""SAG: SGD as NVIDIA's fork knows it under this name, too."""

from __future__ import annotations

from pycaffe_lite.solver.local_rates import SagLarc
from pycaffe_lite.solver.parts import LocalRates
from pycaffe_lite.solver.registry import register_solver
from pycaffe_lite.solver.sgd import SGDSolver


@register_solver("SAG")
class SAGSolver(SGDSolver):
    """The update of SGD; only `larc` is another one, see `local_rates.SagLarc`.

    Source: NVIDIA/caffe src/caffe/solvers/sag_solver.cpp
    """

    def choose_local_rates(self) -> LocalRates | None:
        """LARC in SAG's form."""
        return SagLarc(self) if self.param.larc else None
