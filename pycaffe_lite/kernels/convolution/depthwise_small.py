"""Depthwise convolution with the common small kernels: 3x3 and 5x5, strides 1 and 2, no dilation.

The arithmetic of such a layer takes little longer than its memory traffic, so nothing else must cost much. A
plane is staged line by line with its padding, some lines at a time; then tiles a vector wide slide down the
staged lines (`simd.tiles.slide_tile`).

Vectors overlap rather than being cut: the last one of a line ends where the line ends, and computes some
results again. A line shorter than a vector is stored as a whole one, too: what it writes beyond its end is
overwritten by the lines that follow. Only the last vectors of a task are cut, since no such lines follow.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.convolution.geometry import Geometry, inside, staged_lines
from pycaffe_lite.kernels.products.sizes import reader_of
from pycaffe_lite.kernels.runtime.decorators import (
    Array,
    Tasks,
    get_num_threads,
    kernel,
    take_task,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.scratch import worker_memory
from pycaffe_lite.kernels.simd.copies import bring_near, zero_run
from pycaffe_lite.kernels.simd.tiles import (
    SLIDE_SIZES,
    SLIDE_STRIDES,
    slide_number,
    slide_tile,
    spread_tile,
    tile_table,
)
from pycaffe_lite.kernels.simd.vectors import vector_lanes

STAGED = 24 << 10  # bytes staged at a time, in the L1 cache
TASK = 2048  # results per task, if a plane has no more


class Planes(NamedTuple):
    """The sizes of a task and of its planes."""

    planes: int  # of the images, in all
    together: int  # planes per task
    channels: int
    rows: int  # planes of results per channel
    H: int
    W: int
    P: int
    Q: int
    pad_h: int
    pad_w: int
    stride_h: int
    stride_w: int
    area: int  # weights per channel
    lines: int  # of results at a time
    staged: int  # lines of the padded image that they read
    run: int  # from the even pixels of a staged line to the odd ones
    line: int  # from one staged line to the next
    tile: int  # number of the slide tile


planes_of = reader_of(Planes)


class SmallDepthwisePlan(NamedTuple):
    """Sizes, and the tables that go with them."""

    sizes: Array  # Planes
    taps: Array  # where the pixel of each column of the kernel lies in a staged line
    tasks: int
    workspace: int  # numbers per worker


def suits(g: Geometry) -> bool:
    """Whether a depthwise convolution is one of the common ones."""
    square = g.kernel_h == g.kernel_w and g.dilation_h == g.dilation_w == 1
    return square and g.kernel_h in SLIDE_SIZES and {g.stride_h, g.stride_w} <= set(SLIDE_STRIDES)


@lru_cache(maxsize=1024)
def plan(g: Geometry, item_bytes: int) -> SmallDepthwisePlan:
    """Stage as many lines at a time as stay in the L1 cache, in runs that have room for whole vectors."""
    lanes, size = target().lanes(item_bytes), g.kernel_h
    read, written = g.Q + (size - 1) // g.stride_w, g.pad_w + max(g.W, g.stride_w * lanes)
    run = max(read, -(-written // g.stride_w))
    line = run * g.stride_w
    fitting = (STAGED // item_bytes // line - size) // g.stride_h + 1
    lines = -(-g.P // -(-g.P // max(1, min(g.P, fitting))))
    staged = staged_lines(g, lines)
    together = max(1, min(TASK // (g.P * g.Q), STAGED // item_bytes // (staged * line)))
    sizes = Planes(
        g.N * g.C, together, g.C, g.M // g.C, g.H, g.W, g.P, g.Q, g.pad_h, g.pad_w, g.stride_h, g.stride_w,
        size * size, lines, staged, run, line, slide_number(size, g.stride_h),
    )  # fmt: skip
    workspace = together * staged * line + 2 * lanes
    taps = [j % g.stride_w * run + j // g.stride_w for j in range(size)]
    return SmallDepthwisePlan(np.array(sizes), np.array(taps), -(-g.N * g.C // together), workspace)


def small_product(x: Array, a: Array, start: Array, slope: float, y: Array, g: Geometry) -> None:
    """Compute y, the depthwise convolution of x with the weights a, (M, kernel_h, kernel_w) in a row."""
    cut = plan(g, y.itemsize)
    _slide(
        worker_memory(y.dtype, min(get_num_threads(), cut.tasks), cut.workspace), tile_table(x.dtype),
        x.reshape(-1), a, start, y.dtype.type(slope), y.reshape(-1), cut.sizes, cut.taps,
    )  # fmt: skip


@worker_kernel
def _slide(
    tiles: Array, x: Array, a: Array, start: Array, slope: float, y: Array, sizes: Array, taps: Array,
    tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """y[n, m; p, q] = act(start[m] + sum over taps t of a[m, t] col[c, t; n, p, q]), c = m * C / M.

    Sums in the arrays' type. A task is some neighbouring planes of x; all are staged before they are read,
    because a vector that was just stored in two parts cannot be loaded until both have reached the cache.
    """
    s, lanes = planes_of(sizes), vector_lanes(x)
    zero_run(memory, 0, s.together * s.staged * s.line)
    task_count = (s.planes + s.together - 1) // s.together
    task = take_task(tasks, task_count)
    while task < task_count:
        first, end = task * s.together, min((task + 1) * s.together, s.planes)
        stop = end * s.rows * s.P * s.Q
        # What follows, usually the next task's data, is prefetched step by step, some of it at each tile.
        tiles_of_plane = s.rows * ((s.P + s.lines - 1) // s.lines) * ((s.Q + lanes - 1) // lanes)
        x_to_come, x_each = end * s.H * s.W, s.H * s.W // tiles_of_plane + 1
        y_to_come, y_each = stop, s.rows * s.P * s.Q // tiles_of_plane + 1
        p = 0
        while p < s.P:
            lines = min(s.lines, s.P - p)
            for plane in range(first, end):
                to = (plane - first) * s.staged * s.line
                _stage(tiles, x, s, plane, p * s.stride_h - s.pad_h, memory, to)
            c = first % s.channels
            for plane in range(first, end):
                source = (plane - first) * s.staged * s.line
                for m in range(c * s.rows, (c + 1) * s.rows):
                    to = ((plane * s.rows + m - c * s.rows) * s.P + p) * s.Q
                    # What is written beyond a line is overwritten, if more results of the task follow it.
                    beyond = to + (s.P - 1) * s.Q + lanes
                    stored = lanes if s.lines == s.P and beyond <= stop else min(lanes, s.Q)
                    for at in range(0, s.Q, lanes):
                        q = max(0, min(at, s.Q - lanes))
                        bring_near(x, x_to_come, x_each)
                        bring_near(y, y_to_come, y_each)
                        x_to_come += x_each
                        y_to_come += y_each
                        slide_tile(
                            tiles, s.tile, lines, a, m * s.area, memory, source + q, s.line, taps,
                            y, to + q, s.Q, stored, start[m], slope,
                        )  # fmt: skip
                c = c + 1 if c + 1 < s.channels else 0
            p += s.lines
        task = take_task(tasks, task_count)


@kernel
def _stage(tiles: Array, x: Array, s: Planes, plane: int, first: int, out: Array, to: int) -> None:
    """Copy the lines of a plane from `first` on, zeros outside of it, between margins that are zero already.

    out[to + r * line + (pad_w + w) % stride_w * run + (pad_w + w) // stride_w] = x[plane, first + r, w].
    """
    low, high = inside(first, 1, s.staged, s.H)
    zero_run(out, to, low * s.line)
    if high > low:
        row = (plane * s.H + first + low) * s.W
        spread_tile(
            tiles, s.stride_w, high - low, x, row, s.W, out, to + low * s.line, s.line, s.run, s.pad_w
        )
    zero_run(out, to + high * s.line, (s.staged - high) * s.line)
