"""Solvers: the training loop and the update rules; importing this room registers them all."""

from pycaffe_lite.solver.action import Action
from pycaffe_lite.solver.adadelta import AdaDeltaSolver
from pycaffe_lite.solver.adagrad import AdaGradSolver
from pycaffe_lite.solver.adam import AdamSolver
from pycaffe_lite.solver.base import Solver
from pycaffe_lite.solver.nesterov import NesterovSolver
from pycaffe_lite.solver.past_snapshots import find_latest_snapshot
from pycaffe_lite.solver.registry import get_solver, solver_type_list
from pycaffe_lite.solver.rmsprop import RMSPropSolver
from pycaffe_lite.solver.sag import SAGSolver
from pycaffe_lite.solver.sgd import SGDSolver

__all__ = [
    "Action",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "NesterovSolver",
    "RMSPropSolver",
    "SAGSolver",
    "SGDSolver",
    "Solver",
    "find_latest_snapshot",
    "get_solver",
    "solver_type_list",
]
