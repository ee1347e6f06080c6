"""The gradient of a convolution with respect to its image: each tap adds its product to the pixels it read.

dx[n, c, p stride_h + i dilation_h, q stride_w + j dilation_w] += sum over m of w[m, c, i, j] dy[n, m, p, q]
in coordinates of the padded image. For one tap (i, j) this is a matrix product whose result is added to lines
of the staged image (`convolution.geometry`), shifted by the tap: there is no column matrix, and single
numbers are not scattered. A task is some channels of one image; no other task writes to them.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.convolution.geometry import Geometry, geometry_of, staged_lines, taps, unstage
from pycaffe_lite.kernels.products import blocks as _block
from pycaffe_lite.kernels.products.blocks import Packing, multiply_lines, pack_all, whole_vectors
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
from pycaffe_lite.kernels.runtime.scratch import scratch, worker_memory
from pycaffe_lite.kernels.simd.copies import copy_run, zero_run
from pycaffe_lite.kernels.simd.tiles import tile_table
from pycaffe_lite.kernels.simd.vectors import vector_lanes


class DataGradientBlocking(NamedTuple):
    """How the gradient is cut."""

    channels: int  # per task
    lines: int  # lines of dy that are worked on while they are in the cache
    depth: int  # channels of dy per piece of the sum
    width: int  # dy's line, filled up with zeros to whole half vectors
    rows: int  # lines of the staged image
    tasks: int


blocking_of = reader_of(DataGradientBlocking)


class DataGradientPlan(NamedTuple):
    """The blocking, and the tables that go with it."""

    tasks: int
    sizes: Array  # Geometry, with room at the end of each run for dy's wider line
    blocks: Array  # DataGradientBlocking
    jobs: Array  # for pack_all
    taps: Array  # of the positions in one channel
    steps: Array  # from one channel of dy to the next
    workspace: int  # numbers per worker


@lru_cache(maxsize=1024)
def plan(g: Geometry, threads: int, lanes: int) -> DataGradientPlan:
    """Cut the gradient into tasks of at most 48 channels, two tasks per thread to balance the load."""
    half, rows, per_group = lanes // 2, g.M // g.group, g.C // g.group
    width = -(-g.Q // half) * half
    if g.bare and width != g.Q:
        g = g._replace(bare=False)
    if not g.bare:
        run = g.run + width - g.Q
        g = g._replace(run=run, line=g.phases * run)
    wanted = -(-2 * threads // (g.N * g.group))
    channels = min(per_group, max(1, min(48, -(-per_group // wanted))))
    lines = max(1, min(g.P, _block.COLUMNS // width))
    depth = min(rows, 2 * _block.DEPTH)
    staged = staged_lines(g, g.P)
    channel_stride = g.H * g.W if g.bare else staged * g.line
    workspace = 0 if g.bare else channels * channel_stride + 2 * lanes
    if width != g.Q:
        workspace += depth * lines * width + 2 * lanes
    step = g.P * g.Q if width == g.Q else lines * width
    tasks = g.N * g.group * -(-per_group // channels)
    return DataGradientPlan(
        tasks,
        np.array(g),
        np.array(DataGradientBlocking(channels, lines, depth, width, staged, tasks)),
        _pack_jobs(g, channels, depth),
        taps(g, 1, 0),
        np.arange(depth) * step,
        max(1, workspace),
    )


def _pack_jobs(g: Geometry, channels: int, depth: int) -> Array:
    """How the weights are packed: for each tap, w[m, c, tap] as rows c and depth m (see `packed_at`)."""
    area, per_group, rows = g.kernel_h * g.kernel_w, g.C // g.group, g.M // g.group
    jobs = []
    for group in range(g.group):
        for c0 in range(0, per_group, channels):
            count = min(channels, per_group - c0)
            for tap in range(area):
                for m0 in range(0, rows, depth):
                    at = ((group * rows + m0) * per_group + c0) * area + tap
                    to = packed_at(group * per_group + c0, count, area, tap, rows, m0)
                    steps = min(depth, rows - m0)
                    jobs.append(Packing(at, area, count, 1, 0, steps, per_group * area, to, 0))
    return np.array(jobs)


@kernel
def packed_at(c: int, count: int, area: int, tap: int, rows: int, m0: int) -> int:
    """Where the weights of `count` channels from c on, for a tap and the depth from m0 on, are packed."""
    return (c * area + tap * count) * rows + m0 * count


def scatter(dy: Array, w: Array, dx: Array, g: Geometry) -> None:
    """Overwrite dx with the gradient; arrays and sizes as for `convolution.backward_data`."""
    threads = get_num_threads()
    cut = plan(g, threads, target().lanes(dx.itemsize))
    memory = worker_memory(dx.dtype, min(threads, cut.tasks), cut.workspace)
    packed = scratch("packed", w.dtype, w.size)
    pack_all(memory, w.reshape(-1), cut.jobs, packed[:0], packed)
    _scatter(
        memory, tile_table(dy.dtype), dy.reshape(-1), packed, dx.reshape(-1), cut.sizes, cut.blocks, cut.taps,
        cut.steps,
    )  # fmt: skip


@kernel
def widen(
    dy: Array, at: int, plane: int, depth: int, lines: int, count: int, width: int, step: int, out: Array
) -> None:
    """out[m * step + p * width + q] = dy[at + m * plane + p * count + q] for q < count, 0 up to width."""
    lanes = vector_lanes(dy)
    for m in range(depth):
        for p in range(lines):
            source, to = at + m * plane + p * count, m * step + p * width
            if source + count + lanes <= dy.size:
                copy_run(dy, source, out, to, count)
            else:
                for q in range(count):
                    out[to + q] = dy[source + q]
            zero_run(out, to + count, width - count)


@worker_kernel
def _scatter(
    tiles: Array, dy: Array, packed: Array, dx: Array, sizes: Array, blocks: Array, taps: Array, steps: Array,
    tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """Do tasks of `scatter` until none is left; sums in the arrays' type, in the order of m, then of taps."""
    g, cut = geometry_of(sizes), blocking_of(blocks)
    area, channels, rows, plane = g.kernel_h * g.kernel_w, g.C // g.group, g.M // g.group, g.P * g.Q
    parts = (channels + cut.channels - 1) // cut.channels
    line = g.stride_h * g.line
    channel_stride = g.H * g.W if g.bare else cut.rows * g.line
    # memory after the staged lines, if there are any, holds widened lines of dy
    wide = memory if g.bare else memory[whole_vectors(cut.channels * channel_stride, dy) :]
    sites = np.empty(_block.SITES_SIZE, np.int64)
    task = take_task(tasks, cut.tasks)
    while task < cut.tasks:
        n, group, c0 = task // (g.group * parts), task // parts % g.group, task % parts * cut.channels
        count, c = min(cut.channels, channels - c0), group * channels + c0
        into, first = (dx, (n * g.C + c) * g.H * g.W) if g.bare else (memory, 0)
        for at in range(first, first + count * channel_stride):
            into[at] = 0
        for p0 in range(0, g.P, cut.lines):
            lines = min(cut.lines, g.P - p0)
            for m0 in range(0, rows, cut.depth):
                depth = min(cut.depth, rows - m0)
                b, bo = dy, (n * g.M + group * rows + m0) * plane + p0 * g.Q
                if cut.width != g.Q:
                    widen(dy, bo, plane, depth, lines, g.Q, cut.width, cut.lines * cut.width, wide)
                    b, bo = wide, 0
                for tap in range(area):
                    multiply_lines(
                        tiles, packed, packed_at(c, count, area, tap, rows, m0), count, depth,
                        b, bo, steps, 0, into, first + p0 * line + taps[tap], channel_stride,
                        1, lines, cut.width,
                        0, cut.width, 0, line, packed, 0, True, False, dy.dtype.type(1), False, sites,
                    )  # fmt: skip
        if not g.bare:
            unstage(into, g, n, c, c + count, cut.rows, dx)
        task = take_task(tasks, cut.tasks)
