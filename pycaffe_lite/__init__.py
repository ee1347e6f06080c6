"""pycaffe-lite: Caffe's nets and solvers in pure Python. `import pycaffe_lite as caffe`."""

from pycaffe_lite.blob import Blob
from pycaffe_lite.data.image import set_max_pixels
from pycaffe_lite.detections import Detection, detect
from pycaffe_lite.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    FileLookupError,
    KernelError,
    LayerError,
    LayerImportError,
    NetError,
    PrototxtError,
    PycaffeError,
    SnapshotError,
    SolverError,
    WeightsError,
)
from pycaffe_lite.glog import init_log, log
from pycaffe_lite.kernels import get_num_threads, set_num_threads
from pycaffe_lite.layer.registry import layer_type_list
from pycaffe_lite.layer.utility.python import PythonLayerBase as Layer
from pycaffe_lite.mode import set_device, set_mode_cpu, set_mode_gpu
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto.caffe_pb2 import TEST, TRAIN
from pycaffe_lite.random import set_random_seed
from pycaffe_lite.solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)

__version__ = "0.1.0"

__all__ = [
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "ArgumentError",
    "ArgumentTypeError",
    "Blob",
    "DataError",
    "Detection",
    "FileLookupError",
    "KernelError",
    "Layer",
    "LayerError",
    "LayerImportError",
    "NesterovSolver",
    "Net",
    "NetError",
    "PrototxtError",
    "PycaffeError",
    "RMSPropSolver",
    "SGDSolver",
    "SnapshotError",
    "SolverError",
    "WeightsError",
    "detect",
    "get_num_threads",
    "get_solver",
    "init_log",
    "layer_type_list",
    "log",
    "set_device",
    "set_max_pixels",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_num_threads",
    "set_random_seed",
]
