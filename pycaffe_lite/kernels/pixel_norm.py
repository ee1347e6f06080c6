"""The lengths of vectors that lie across planes: of the channels of each pixel.

x, y: (N, C, pixels). r: (N, pixels), the lengths. Sums are kept in float64. A task is a piece of an image.
"""

import math

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, kernel, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory, workers_for

PIECE = 1024  # pixels in one task


@kernel
def _piece(task: int, pixels: int) -> tuple[int, int, int]:
    """The n, start and stop of a task."""
    pieces = (pixels + PIECE - 1) // PIECE
    start = task % pieces * PIECE
    return task // pieces, start, min(pixels, start + PIECE)


@kernel
def _pieces(N: int, pixels: int) -> int:
    return N * ((pixels + PIECE - 1) // PIECE)


def lengths(x: Array, bias: float, r: Array) -> None:
    """r[n, i] = sqrt(bias + the sum of x[n, c, i]² over c)."""
    _lengths(no_memory(x.dtype, workers_for(x.size)), x, float(bias), r)


@worker_kernel
def _lengths(x: Array, bias: float, r: Array, tasks: Tasks, _memory: Array) -> None:
    N, C, pixels = x.shape
    count = _pieces(N, pixels)
    task = take_task(tasks, count)
    while task < count:
        n, start, stop = _piece(task, pixels)
        for i in range(start, stop):
            total = bias
            for c in range(C):
                total += np.float64(x[n, c, i]) * x[n, c, i]
            r[n, i] = math.sqrt(total)
        task = take_task(tasks, count)


def lengths_backward(x: Array, r: Array, dr: Array, least: float, dx: Array) -> None:
    """dx[n, c, i] = dr[n, i] x[n, c, i] / (r[n, i] + least).  dr: the shape of r; dx: that of x."""
    _lengths_backward(no_memory(x.dtype, workers_for(x.size)), x, r, dr, float(least), dx)


@worker_kernel
def _lengths_backward(
    x: Array, r: Array, dr: Array, least: float, dx: Array, tasks: Tasks, _memory: Array
) -> None:
    N, C, pixels = x.shape
    count = _pieces(N, pixels)
    task = take_task(tasks, count)
    while task < count:
        n, start, stop = _piece(task, pixels)
        for c in range(C):
            for i in range(start, stop):
                dx[n, c, i] = dr[n, i] * x[n, c, i] / (r[n, i] + least)
        task = take_task(tasks, count)


def divide(x: Array, r: Array, y: Array) -> None:
    """y[n, c, i] = x[n, c, i] / r[n, i]."""
    _divide(no_memory(x.dtype, workers_for(x.size)), x, r, y)


@worker_kernel
def _divide(x: Array, r: Array, y: Array, tasks: Tasks, _memory: Array) -> None:
    N, C, pixels = x.shape
    count = _pieces(N, pixels)
    task = take_task(tasks, count)
    while task < count:
        n, start, stop = _piece(task, pixels)
        for c in range(C):
            for i in range(start, stop):
                y[n, c, i] = x[n, c, i] / r[n, i]
        task = take_task(tasks, count)


def divide_backward(y: Array, dy: Array, r: Array, dx: Array) -> None:
    """dx[n, c, i] = (dy[n, c, i] - y[n, c, i] Σ y dy) / r[n, i], the sum over the channels of the pixel."""
    _divide_backward(no_memory(y.dtype, workers_for(y.size)), y, dy, r, dx)


@worker_kernel
def _divide_backward(y: Array, dy: Array, r: Array, dx: Array, tasks: Tasks, _memory: Array) -> None:
    N, C, pixels = y.shape
    count = _pieces(N, pixels)
    task = take_task(tasks, count)
    while task < count:
        n, start, stop = _piece(task, pixels)
        for i in range(start, stop):
            along = 0.0
            for c in range(C):
                along += np.float64(y[n, c, i]) * dy[n, c, i]
            for c in range(C):
                dx[n, c, i] = (dy[n, c, i] - y[n, c, i] * along) / r[n, i]
        task = take_task(tasks, count)
