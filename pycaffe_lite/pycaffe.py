"""pycaffe's module of this name: nets, solvers and a stopwatch, which the package itself gives as well."""

from pycaffe_lite.net.net import Net
from pycaffe_lite.parallel import NCCL
from pycaffe_lite.solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
)
from pycaffe_lite.timer import Timer

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
]
