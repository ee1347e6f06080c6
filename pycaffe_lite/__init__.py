"""pycaffe-lite: Caffe's nets and solvers in pure Python. `import pycaffe_lite as caffe`."""

from pycaffe_lite import _caffe as _caffe  # these modules come along with the package, as in pycaffe
from pycaffe_lite import io as io
from pycaffe_lite import pycaffe as pycaffe
from pycaffe_lite import surgery as surgery
from pycaffe_lite.alias import install_as_caffe
from pycaffe_lite.blob import Blob
from pycaffe_lite.classifier import Classifier
from pycaffe_lite.data.image import set_max_pixels
from pycaffe_lite.detections import Detection, detect
from pycaffe_lite.detector import Detector
from pycaffe_lite.distributed.solver import get_solver
from pycaffe_lite.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    FileLookupError,
    ImageError,
    InputArrayError,
    KernelError,
    LayerError,
    LayerImportError,
    NameLookupError,
    NetError,
    NetPicklingError,
    OnnxError,
    PrototxtError,
    PycaffeError,
    SnapshotError,
    SolverError,
    WeightsError,
)
from pycaffe_lite.glog import init_log, log
from pycaffe_lite.kernels import get_num_threads, set_num_threads
from pycaffe_lite.layer.detection.rcnn_config import cfg as rcnn_cfg
from pycaffe_lite.layer.registry import layer_type_list
from pycaffe_lite.layer.utility.python import PythonLayerBase as Layer
from pycaffe_lite.mode import set_device, set_mode_cpu, set_mode_gpu
from pycaffe_lite.net.net import Net
from pycaffe_lite.net_spec import NetSpec, layers, params, to_proto
from pycaffe_lite.parallel import (
    NCCL,
    has_nccl,
    set_multiprocess,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from pycaffe_lite.proto.caffe_pb2 import TEST, TRAIN
from pycaffe_lite.random import set_random_seed
from pycaffe_lite.solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
)
from pycaffe_lite.timer import Timer

__version__ = "0.1.0"

__all__ = [
    "NCCL",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "ArgumentError",
    "ArgumentTypeError",
    "Blob",
    "Classifier",
    "DataError",
    "Detection",
    "Detector",
    "FileLookupError",
    "ImageError",
    "InputArrayError",
    "KernelError",
    "Layer",
    "LayerError",
    "LayerImportError",
    "NameLookupError",
    "NesterovSolver",
    "Net",
    "NetError",
    "NetPicklingError",
    "NetSpec",
    "OnnxError",
    "PrototxtError",
    "PycaffeError",
    "RMSPropSolver",
    "SGDSolver",
    "SnapshotError",
    "SolverError",
    "Timer",
    "WeightsError",
    "detect",
    "get_num_threads",
    "get_solver",
    "has_nccl",
    "init_log",
    "install_as_caffe",
    "layer_type_list",
    "layers",
    "log",
    "params",
    "rcnn_cfg",
    "set_device",
    "set_max_pixels",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_num_threads",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
    "to_proto",
]
