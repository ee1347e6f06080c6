"""pycaffe's names for training on several GPUs: here they keep what they are told, and train nothing.

Caffe's Data layers read every n-th record only, where there are n solvers. Here each reads all: a program
that starts n solvers through these names gets n trainings of their own.
"""

from __future__ import annotations

import logging
from typing import NoReturn

from pycaffe_lite import glog
from pycaffe_lite.errors import SolverError
from pycaffe_lite.solver.base import Solver

log = logging.getLogger(__name__)

_NO_NCCL = (
    "there is no NCCL here, which trains on several GPUs: pycaffe-lite runs on the CPU, on all its cores"
)


class _Settings:
    """What was set, of the process."""

    solver_count = 1
    solver_rank = 0


def has_nccl() -> bool:
    """Whether NCCL is there: it is not."""
    return False


class NCCL:
    """Takes a solver and an id, as in pycaffe, and does nothing, as in a Caffe built without NCCL."""

    def __init__(self, solver: Solver, uid: str | bytes) -> None:
        glog.open_log()
        log.warning("%s; NCCL does nothing", _NO_NCCL)

    def __call__(self, layer: int) -> None:
        """Does nothing: `net.after_backward(nccl)`."""

    def on_start(self) -> None:
        """Does nothing: `solver.add_callback(nccl)`."""

    def on_gradients_ready(self) -> None:
        """Does nothing: `solver.add_callback(nccl)`."""

    @staticmethod
    def new_uid() -> NoReturn:
        """Raises SolverError: an id would be for solvers that work together."""
        raise SolverError(_NO_NCCL)

    def bcast(self) -> None:
        """Does nothing: the weights stay where they are."""


def solver_count() -> int:
    """The number of solvers that was set; 1 at first."""
    return _Settings.solver_count


def set_solver_count(count: int) -> None:
    """Keeps a number of solvers, which has no effect; above 1 the log says so."""
    _Settings.solver_count = count
    if count > 1:
        glog.open_log()
        log.warning("set_solver_count(%d) has no effect: each solver trains alone, on all of its data", count)


def solver_rank() -> int:
    """The number of this solver among them that was set; 0 at first."""
    return _Settings.solver_rank


def set_solver_rank(rank: int) -> None:
    """Keeps the number of this solver among them, which has no effect."""
    _Settings.solver_rank = rank


def set_multiprocess(multiprocess: bool) -> None:
    """Takes whether solvers run in several processes, which makes no difference here."""
