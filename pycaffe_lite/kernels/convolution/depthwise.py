"""Depthwise convolution: every output channel reads one input channel, so there is no product to block.

Each line of results is summed over the taps in registers, from lines staged with their padding
(`convolution.geometry`). The common small kernels have a faster algorithm (`convolution.depthwise_small`).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.convolution import depthwise_small
from pycaffe_lite.kernels.convolution.geometry import Geometry, geometry_of, stage, staged_lines, taps
from pycaffe_lite.kernels.convolution.weights import WeightLayout, weights_in_order
from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, get_num_threads, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.scratch import no_memory, worker_memory
from pycaffe_lite.kernels.simd.tiles import LINE_VECTORS, line_tile, tile_table
from pycaffe_lite.kernels.simd.vectors import vector_lanes

MOST_TAPS = 1024  # their products are added up one by one
STAGED = 6144  # numbers staged at a time: 24 KB, in the L1 cache


class DepthwisePlan(NamedTuple):
    """How lines are staged, and the tables that go with it."""

    sizes: Array  # Geometry, never bare: staged lines may be read in whole vectors
    lines: int  # lines of results at a time
    taps: Array
    sites: Array  # (runs of vectors in `lines` lines, 3), see `line_tile`
    workspace: int  # numbers per worker


def suits(g: Geometry) -> bool:
    """Whether a convolution is depthwise, and its sums short enough to be kept in one register."""
    return g.group > 1 and g.group == g.C and g.kernel_h * g.kernel_w <= MOST_TAPS


@lru_cache(maxsize=1024)
def plan(g: Geometry, lanes: int) -> DepthwisePlan:
    """Stage as many lines at a time as stay in the L1 cache."""
    if g.bare:
        reach = (g.kernel_w - 1) * g.dilation_w
        g = g._replace(bare=0, run=g.Q + reach, line=g.Q + reach)
    fitting = (STAGED // g.line - staged_lines(g, 1)) // g.stride_h + 1
    lines = -(-g.P // -(-g.P // max(1, min(g.P, fitting))))
    step, per_line = g.stride_h * g.line, range(0, g.Q, lanes)
    runs = [(p * step + q, p * g.Q + q, min(lanes, g.Q - q)) for p in range(lines) for q in per_line]
    runs += runs[-1:] * (LINE_VECTORS - 1)
    workspace = staged_lines(g, lines) * g.line + 2 * lanes
    return DepthwisePlan(np.array(g), lines, taps(g, 1, 0), np.array(runs), workspace)


def _weights_by_channel(a: Array, scale: Array, g: Geometry, weights: WeightLayout) -> Array:
    """The taps of each output channel in a row, times its scale; the array itself if it is stored so."""
    if weights == weights_in_order(g) and scale.size == 0:
        return a.reshape(-1)
    taps_of_all = np.empty(g.M * g.kernel_h * g.kernel_w, a.dtype)
    _gather_taps(
        no_memory(a.dtype, workers=1), a.reshape(-1), weights.at, weights.group_stride, weights.row_stride,
        weights.tap_stride, g.M // g.group, scale, taps_of_all.reshape(g.M, -1),
    )  # fmt: skip
    return taps_of_all


@worker_kernel
def _gather_taps(
    a: Array, at: int, group_stride: int, row_stride: int, tap_stride: int, rows: int, scale: Array,
    out: Array, tasks: Tasks, _memory: Array,
) -> None:  # fmt: skip
    """out[m, t] = scale[m] * the t-th tap of output channel m, of which a group has `rows`."""
    if take_task(tasks, 1) > 0:
        return
    for m in range(out.shape[0]):
        first = at + m // rows * group_stride + m % rows * row_stride
        for t in range(out.shape[1]):
            tap = a[first + t * tap_stride]
            out[m, t] = tap * scale[m] if scale.size > 0 else tap


def depthwise_product(
    x: Array, a: Array, start: Array, scale: Array, slope: float, y: Array, g: Geometry, weights: WeightLayout
) -> None:
    """Compute `convolution.blocked.product` of a depthwise convolution, without accumulating."""
    packed = _weights_by_channel(a, scale, g, weights)
    if depthwise_small.suits(g):
        depthwise_small.small_product(x, packed, start, slope, y, g)
        return
    cut = plan(g, target().lanes(y.itemsize))
    workers = min(get_num_threads(), g.N * g.C)
    _forward(
        worker_memory(y.dtype, workers, cut.workspace), tile_table(x.dtype), x.reshape(-1), packed, start,
        y.dtype.type(slope), y.reshape(-1), cut.sizes, cut.lines, cut.taps, cut.sites,
    )  # fmt: skip


@worker_kernel
def _forward(
    tiles: Array, x: Array, a: Array, start: Array, slope: float, y: Array, sizes: Array, lines: int,
    taps: Array, sites: Array, tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """y[n, m; p, q] = act(start[m] + sum over taps t of a[m, t] col[c, t; n, p, q]), c = m * C / M.

    Sums in the arrays' type. A task is one input channel of one image.
    """
    g, lanes = geometry_of(sizes), vector_lanes(x)
    area, rows, per_line = g.kernel_h * g.kernel_w, g.M // g.group, (g.Q + lanes - 1) // lanes
    staged = (lines - 1) * g.stride_h + (g.kernel_h - 1) * g.dilation_h + 1
    task_count = g.N * g.C
    task = take_task(tasks, task_count)
    while task < task_count:
        n, c = task // g.C, task % g.C
        for at in range(0, g.P, lines):
            # There are always as many lines as `sites` lists; the last ones may be computed twice.
            p0 = min(at, g.P - lines)
            stage(x, g, n, n + 1, c, c + 1, p0 * g.stride_h, staged, memory)
            for m in range(c * rows, (c + 1) * rows):
                line_tile(
                    tiles, sites, lines * per_line, area, a, m * area, memory, 0, taps,
                    y, ((n * g.M + m) * g.P + p0) * g.Q, start[m], slope != 1, slope,
                )  # fmt: skip
        task = take_task(tasks, task_count)
