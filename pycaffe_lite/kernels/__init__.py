"""Compiled functions of arrays and numbers, which know nothing of layers or blobs.

Each module at the top of this package is a family of kernels, such as `relu` or `pooling`. The rooms of the
engine are below it, and each imports only from those before it: `runtime`, `simd`, `products`, then
`convolution` and `pooling`. This file names what code outside the package needs of the engine, apart from the
families.
"""

from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.locks import lock_of_process
from pycaffe_lite.kernels.runtime.memory import aligned_zeros
from pycaffe_lite.kernels.runtime.steps import Recording, record
from pycaffe_lite.kernels.runtime.threads import MOST_THREADS, available_cores
from pycaffe_lite.kernels.runtime.timeline import Stretch, Timeline

__all__ = [
    "MOST_THREADS",
    "Recording",
    "Stretch",
    "Timeline",
    "aligned_zeros",
    "available_cores",
    "get_num_threads",
    "lock_of_process",
    "record",
    "set_num_threads",
    "target",
]
