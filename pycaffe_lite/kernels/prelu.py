"""Parametric rectified linear unit: a learnt slope per channel for negative values."""

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import (
    Array,
    Tasks,
    kernel,
    parallel_kernel,
    take_piece,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.scratch import no_memory
from pycaffe_lite.kernels.simd.copies import copy_memory
from pycaffe_lite.kernels.simd.elements import same_place


def forward(x: Array, slope: Array, y: Array, kept: Array | None = None) -> None:
    """y[n, c, i] = max(x, 0) + slope[c] min(x, 0); kept = x.

    x, y: (N, C, inner); y may be x. slope: (C,), or (1,) for all channels. kept: like x; None if no
    copy is needed.
    """
    _forward(no_memory(x.dtype), x, slope, y, x[:0] if kept is None else kept)


@worker_kernel
def _forward(x: Array, slope: Array, y: Array, kept: Array, tasks: Tasks, _memory: Array) -> None:
    """Does what `forward` does; kept may be empty."""
    T = x.dtype.type
    x_values, y_values, kept_values = x.reshape(-1), y.reshape(-1), kept.reshape(-1)
    start, stop = take_piece(tasks, x.size)
    while start < stop:
        end = _row_end(x, start, stop)
        a = _slope_at(x, start, slope)
        source, out = x_values[start:end], y_values[start:end]
        if kept.size > 0:
            copy_memory(x_values, start, kept_values, start, end - start)
        if same_place(source, out):
            for i in range(out.size):
                out[i] = max(out[i], T(0)) + a * min(out[i], T(0))
        else:
            for i in range(out.size):
                out[i] = max(source[i], T(0)) + a * min(source[i], T(0))
        start = end
        if start == stop:
            start, stop = take_piece(tasks, x.size)


@kernel
def _row_end(x: Array, start: int, stop: int) -> int:
    """The end of the row that the value at `start` is in, or `stop` if that comes first."""
    inner: int = x.shape[2]
    return min(stop, (start // inner + 1) * inner)


@kernel
def _slope_at(x: Array, start: int, slope: Array) -> float:
    """The slope of the channel that the value at `start` is in."""
    _, C, inner = x.shape
    return slope[start // inner % C % slope.size]  # type: ignore[no-any-return]


def backward_data(x: Array, dy: Array, slope: Array, dx: Array) -> None:
    """dx[n, c, i] = dy if x > 0 else slope[c] dy.  x, dy, dx: (N, C, inner); dx may be dy."""
    _backward_data(no_memory(x.dtype), x, dy, slope, dx)


@worker_kernel
def _backward_data(x: Array, dy: Array, slope: Array, dx: Array, tasks: Tasks, _memory: Array) -> None:
    T = x.dtype.type
    x_values, dy_values, dx_values = x.reshape(-1), dy.reshape(-1), dx.reshape(-1)
    start, stop = take_piece(tasks, x.size)
    while start < stop:
        end = _row_end(x, start, stop)
        a = _slope_at(x, start, slope)
        value, source, out = x_values[start:end], dy_values[start:end], dx_values[start:end]
        if same_place(source, out):
            for i in range(out.size):
                out[i] *= T(1) if value[i] > 0 else a
        else:
            for i in range(out.size):
                out[i] = source[i] * (T(1) if value[i] > 0 else a)
        start = end
        if start == stop:
            start, stop = take_piece(tasks, x.size)


# A sum is vectorised only if its terms may be added in another order.
@kernel(fastmath={"reassoc", "nsz"})
def _negative_sum(x: Array, dy: Array) -> float:
    total = 0.0
    for i in range(x.size):
        total += dy[i] * x[i] if x[i] <= 0 else 0.0
    return total


@parallel_kernel
def backward_slope(x: Array, dy: Array, dslope: Array) -> None:
    """dslope[c] += the sum of dy x over all n and i with x <= 0.

    x, dy: (N, C, inner). dslope: (C,), or (1,) for all channels. Sums are kept in float64.
    """
    N, C, _ = x.shape
    sums = np.empty((N, C))
    for row in prange(N * C):
        n, c = row // C, row % C
        sums[n, c] = _negative_sum(x[n, c], dy[n, c])
    for channel in range(C):
        total = 0.0
        for image in range(N):
            total += sums[image, channel]
        dslope[channel % dslope.size] += total
