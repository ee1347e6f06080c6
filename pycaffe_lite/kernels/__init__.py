"""Compiled array functions: arrays and numbers in, arrays out; they know nothing of layers or blobs.

Each module on the ground floor is a family of kernels, say `relu` or `pooling`. Behind them are the rooms of
the engine, each of which imports from those before it: `runtime`, `simd`, `products`, then `convolution` and
`pooling`. What code outside this package needs of the engine, apart from the families, is named here.
"""

from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.locks import lock_of_process
from pycaffe_lite.kernels.runtime.memory import aligned_zeros
from pycaffe_lite.kernels.runtime.steps import Recording, record
from pycaffe_lite.kernels.runtime.threads import MOST_THREADS, available_cores

__all__ = [
    "MOST_THREADS",
    "Recording",
    "aligned_zeros",
    "available_cores",
    "get_num_threads",
    "lock_of_process",
    "record",
    "set_num_threads",
    "target",
]
