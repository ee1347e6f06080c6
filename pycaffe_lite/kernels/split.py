"""Sums of gradients over flat arrays."""

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_piece, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory


def add(a: Array, b: Array, y: Array) -> None:
    """y[i] = a[i] + b[i].  All: (count,); y may be a or b."""
    _add(no_memory(y.dtype), a, b, y)


@worker_kernel
def _add(a: Array, b: Array, y: Array, tasks: Tasks, _memory: Array) -> None:
    start, stop = take_piece(tasks, y.size)
    while start < stop:
        left, right, out = a[start:stop], b[start:stop], y[start:stop]
        for i in range(out.size):
            out[i] = left[i] + right[i]
        start, stop = take_piece(tasks, y.size)
