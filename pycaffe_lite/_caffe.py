"""What in Caffe is the compiled module; programs that name it find the same things here."""

from pycaffe_lite.blob import Blob, BlobVec
from pycaffe_lite.distributed.solver import get_solver
from pycaffe_lite.glog import init_log, log
from pycaffe_lite.layer.registry import layer_type_list
from pycaffe_lite.layer.utility.python import PythonLayerBase as Layer
from pycaffe_lite.mode import set_device, set_mode_cpu, set_mode_gpu
from pycaffe_lite.net.net import Net
from pycaffe_lite.parallel import (
    NCCL,
    has_nccl,
    set_multiprocess,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from pycaffe_lite.random import set_random_seed
from pycaffe_lite.solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    Solver,
)
from pycaffe_lite.timer import Timer

# The binding's own containers, which some programs import by name; what nets give in their places are lists.
RawBlobVec = LayerVec = StringVec = IntVec = DtypeVec = NetVec = BoolVec = list

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "BlobVec",
    "BoolVec",
    "DtypeVec",
    "IntVec",
    "Layer",
    "LayerVec",
    "NesterovSolver",
    "Net",
    "NetVec",
    "RMSPropSolver",
    "RawBlobVec",
    "SGDSolver",
    "Solver",
    "StringVec",
    "Timer",
    "get_solver",
    "has_nccl",
    "init_log",
    "layer_type_list",
    "log",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]
