"""get_solver: pycaffe's function, also for one rank of several."""

from __future__ import annotations

from typing import Any

from pycaffe_lite.solver import Solver
from pycaffe_lite.solver import get_solver as solver_alone
from pycaffe_lite.solver.settings import SolverSource


def get_solver(source: SolverSource, *, comm: Any = None, **options: Any) -> Solver:
    """The solver that a prototxt describes, of the class that its `type` names.

    Args:
        source: a solver prototxt, or its message or document.
        comm: a communicator of mpi4py's, MPI.COMM_WORLD say, whose processes train together. All of them
            make the same calls; see docs/several-machines.md. None: this process trains alone.
        options: further keyword arguments of `Solver`.

    Raises:
        SolverError: no such type; the message lists those that there are. Or the processes disagree.
    """
    if comm is not None:
        from pycaffe_lite.distributed.ranks import MpiRanks  # which nobody needs who trains alone

        options["ranks"] = MpiRanks(comm)
    return solver_alone(source, **options)
