"""Dropout over flat arrays; the same for values and gradients."""

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_piece, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory


def apply(x: Array, mask: Array, scale: float, y: Array) -> None:
    """y[i] = x[i] mask[i] scale.  x, y: (count,), y may be x; mask: (count,), 0 or 1."""
    _apply(no_memory(x.dtype), x, mask, float(scale), y)


@worker_kernel
def _apply(x: Array, mask: Array, scale: float, y: Array, tasks: Tasks, _memory: Array) -> None:
    T = x.dtype.type
    s = T(scale)
    start, stop = take_piece(tasks, x.size)
    while start < stop:
        source, keep, out = x[start:stop], mask[start:stop], y[start:stop]
        for i in range(out.size):
            out[i] = source[i] * T(keep[i]) * s
        start, stop = take_piece(tasks, x.size)
