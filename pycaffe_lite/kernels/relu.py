"""Rectified linear unit over flat arrays."""

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_piece, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory


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


def backward(x: Array, dy: Array, slope: float, dx: Array) -> None:
    """dx[i] = dy[i] if x[i] > 0 else slope dy[i].  All arrays: (count,); dx may be dy."""
    _backward(no_memory(x.dtype), x, dy, float(slope), dx)


@worker_kernel
def _backward(x: Array, dy: Array, slope: float, dx: Array, tasks: Tasks, _memory: Array) -> None:
    T = x.dtype.type
    s = T(slope)
    start, stop = take_piece(tasks, x.size)
    while start < stop:
        value, source, out = x[start:stop], dy[start:stop], dx[start:stop]
        for i in range(out.size):
            out[i] = source[i] * (T(1) if value[i] > 0 else s)
        start, stop = take_piece(tasks, x.size)
