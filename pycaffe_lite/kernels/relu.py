"""Rectified linear unit over flat arrays."""

from numba import prange

from pycaffe_lite.kernels._jit import Array, Tasks, parallel_kernel, take_piece, worker_kernel
from pycaffe_lite.kernels._scratch import no_memory


def forward(x: Array, slope: float, y: Array) -> None:
    """y[i] = max(x[i], 0) + slope min(x[i], 0).  x, y: (count,); y may be x."""
    _forward(no_memory(x.dtype), x, float(slope), y)


@worker_kernel
def _forward(x: Array, slope: float, y: Array, tasks: Tasks, _memory: Array) -> None:
    T = x.dtype.type
    s = T(slope)
    start, stop = take_piece(tasks, x.size)
    while start < stop:
        source, out = x[start:stop], y[start:stop]
        for i in range(out.size):
            negative = source[i] < 0
            out[i] = (T(0) if negative else source[i]) + s * (source[i] if negative else T(0))  # NaN stays
        start, stop = take_piece(tasks, x.size)


@parallel_kernel
def backward(x: Array, dy: Array, slope: float, dx: Array) -> None:
    """dx[i] = dy[i] if x[i] > 0 else slope dy[i].  All arrays: (count,); dx may be dy."""
    T = x.dtype.type
    s = T(slope)
    for i in prange(x.size):
        dx[i] = dy[i] * (T(1) if x[i] > 0 else s)
