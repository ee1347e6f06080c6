"""Forward convolution with exchanged roles: positions are rows, output channels columns of the product.

The lines of a small image do not fill vectors; its output channels usually do. So the weights are packed into
panels of three vectors of channels, or two; the numbers of col are picked from the (staged) image where they
stand; and a tile is eight or ten positions by a panel. The result comes out transposed: a task keeps it as
[position, channel] until the depth is done, and then writes it to y with its bias and activation.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.convolution.geometry import (
    Geometry,
    geometry_of,
    list_columns,
    stage,
    staged_lines,
    taps,
)
from pycaffe_lite.kernels.convolution.weights import WeightLayout, packing
from pycaffe_lite.kernels.products.blocks import DEPTH, pack_panels, store_transposed
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
from pycaffe_lite.kernels.simd.tiles import max_pick_rows, panel_width, pick_tile, tile_count, tile_table
from pycaffe_lite.kernels.simd.vectors import vector_lanes

SUMS = 76800  # results per task: 300 KB, in the L2 cache
CHANNELS = 192  # output channels per task
FEW_LINES = 512  # output channels per task of a 1x1 kernel: it has few positions, but stages no line twice
LEAST_DEPTH = 96  # below it, transposing the result costs too much


class PixelBlocking(NamedTuple):
    """How a product is cut."""

    height: int  # output channels per task
    filled: int  # output channels of a group, filled up to whole vectors
    images: int
    lines: int  # lines of results per image; all of them if images > 1
    channels: int  # input channels per piece of the depth
    rows: int  # staged lines per image and channel
    tasks: int


blocking_of = reader_of(PixelBlocking)


class PixelPlan(NamedTuple):
    """The blocking, and the tables that go with it."""

    tasks: int
    sizes: Array  # Geometry
    blocks: Array  # PixelBlocking
    jobs: Array  # for pack_panels
    packed: int  # numbers of all packed weights
    taps: Array  # of one piece's k
    workspace: int  # numbers per worker


def suits(g: Geometry, lanes: int) -> bool:
    """Whether this algorithm is the faster one: lines leave vectors unfilled, output channels do not."""
    rows = g.M // g.group
    filled = -(-rows // lanes) * lanes
    deep = g.C // g.group * g.kernel_h * g.kernel_w >= LEAST_DEPTH
    return g.Q % (lanes // 2) != 0 and deep and filled <= 1.1 * rows


@lru_cache(maxsize=1024)
def plan(g: Geometry, weights: WeightLayout, threads: int, lanes: int) -> PixelPlan:
    """Cut the product into tasks of about equal size, at least two per thread if it is large."""
    area, plane, rows, per_group = g.kernel_h * g.kernel_w, g.P * g.Q, g.M // g.group, g.C // g.group
    filled, panel = -(-rows // lanes) * lanes, 2 * lanes
    height = min(filled, CHANNELS if area > 1 else FEW_LINES)
    positions = SUMS // height
    images = max(1, min(g.N, positions // plane))
    images = -(-g.N // -(-g.N // images))
    lines = g.P if images > 1 else -(-g.P // -(-plane // positions))
    columns = -(-g.N // images) * -(-g.P // lines)
    blocks = max(-(-rows // height), -(-2 * threads // (g.group * columns)))
    height = -(-rows // (blocks * panel)) * panel
    # Each tap of a 1x1 kernel touches cache lines of its own: a shorter piece leaves room for them.
    depth = DEPTH if area > 1 else DEPTH // 2
    pieces = max(1, round(per_group * area / depth))
    channels = -(-per_group // pieces)
    staged = staged_lines(g, lines)
    workspace = images * lines * g.Q * (height + lanes) + lanes
    if not g.bare:
        workspace += images * channels * staged * g.line + 2 * lanes
    channel_stride = g.H * g.W if g.bare else staged * g.line
    tasks = g.group * -(-rows // height) * columns
    return PixelPlan(
        tasks,
        np.array(g),
        np.array(PixelBlocking(height, filled, images, lines, channels, staged, tasks)),
        _pack_jobs(g, weights, filled, height, lanes),
        g.group * per_group * area * filled + panel,
        taps(g, channels, channel_stride),
        workspace,
    )


def _pack_jobs(g: Geometry, weights: WeightLayout, filled: int, height: int, lanes: int) -> Array:
    """How the weights are packed: panel by panel; panel m of a group starts at (group * filled + m) * K."""
    rows, per_group, area = g.M // g.group, g.C // g.group, g.kernel_h * g.kernel_w
    jobs = []
    for group in range(g.group):
        m = 0
        while m < filled:
            left = min(height - m % height, filled - m)  # of its task
            width = panel_width(left, lanes)
            to, many = (group * filled + m) * per_group * area, min(width, rows - m)
            jobs.append((*packing(g, weights, group, m, many, 0, per_group, to), width))
            m += width
    return np.array(jobs)


def pixel_product(
    x: Array, a: Array, start: Array, scale: Array, slope: float, y: Array, g: Geometry, weights: WeightLayout
) -> None:
    """Compute `convolution.blocked.product`, without accumulating."""
    threads = get_num_threads()
    cut = plan(g, weights, threads, target().lanes(y.itemsize))
    packed = scratch("packed", a.dtype, cut.packed)
    memory = worker_memory(y.dtype, min(threads, cut.tasks), cut.workspace)
    pack_panels(memory, a.reshape(-1), cut.jobs, scale, packed)
    _forward(
        memory, tile_table(x.dtype), x.reshape(-1), packed, start, y.dtype.type(slope), y.reshape(-1),
        cut.sizes, cut.blocks, cut.taps,
    )  # fmt: skip


@worker_kernel
def _forward(
    tiles: Array, x: Array, packed: Array, start: Array, slope: float, y: Array, sizes: Array, blocks: Array,
    taps: Array, tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """Do tasks of `pixel_product`, with packed weights, until none is left; sums in the arrays' type."""
    g, cut = geometry_of(sizes), blocking_of(blocks)
    area, channels, rows = g.kernel_h * g.kernel_w, g.C // g.group, g.M // g.group
    K, depth, lanes = channels * area, cut.channels * area, vector_lanes(x)
    row_blocks = (rows + cut.height - 1) // cut.height
    image_blocks, line_blocks = (g.N + cut.images - 1) // cut.images, (g.P + cut.lines - 1) // cut.lines
    b_line = g.stride_h * g.line
    ld = cut.height + lanes  # an odd number of vectors: the sums spread over the sets of the cache
    staged = memory[cut.images * cut.lines * g.Q * ld + lanes :]
    places = np.empty(cut.images * cut.lines * g.Q, np.int64)
    task = take_task(tasks, cut.tasks)
    while task < cut.tasks:
        i0, rest = task % row_blocks * cut.height, task // row_blocks
        p0, rest = rest % line_blocks * cut.lines, rest // line_blocks
        n0, group = rest % image_blocks * cut.images, rest // image_blocks
        images, lines = min(cut.images, g.N - n0), min(cut.lines, g.P - p0)
        height = min(cut.height, cut.filled - i0)
        for k0 in range(0, K, depth):
            c0 = group * channels + k0 // area
            c1 = min(c0 + cut.channels, (group + 1) * channels)
            if g.bare:
                b, bo, b_image = x, (n0 * g.C + c0) * g.H * g.W + p0 * b_line, g.C * g.H * g.W
            else:
                stage(x, g, n0, n0 + images, c0, c1, p0 * g.stride_h, cut.rows, staged)
                b, bo, b_image = staged, 0, (c1 - c0) * cut.rows * g.line
            count = list_columns(images, lines, g.Q, 1, b_image, b_line, places)
            m = 0
            while m < height:
                width = panel_width(height - m, lanes)
                vectors, at = width // lanes, (group * cut.filled + i0 + m) * K + k0 * width
                tall = tile_count(count, max_pick_rows(vectors))
                for t in range(tall):
                    j, last = t * count // tall, (t + 1) * count // tall
                    pick_tile(
                        tiles, last - j, vectors, (c1 - c0) * area, b, bo, places, j, taps, 0, packed, at,
                        width, memory, j * ld + m, ld, k0 > 0, 0, 0, 0,
                    )  # fmt: skip
                m += width
        m = group * rows + i0
        finish(memory, ld, images * lines * g.Q, min(height, rows - i0), start, m, slope)
        at = ((n0 * g.M + m) * g.P + p0) * g.Q
        for n in range(images):
            store_transposed(
                memory, n * lines * g.Q * ld, ld, lines * g.Q, min(height, rows - i0), y,
                at + n * g.M * g.P * g.Q, g.P * g.Q,
            )  # fmt: skip
        task = take_task(tasks, cut.tasks)


@kernel
def finish(sums: Array, ld: int, positions: int, height: int, start: Array, m: int, slope: float) -> None:
    """sums[j, i] = act(sums[j, i] + start[m + i]) for j < positions, i < height."""
    shift = start[m : m + height]
    for j in range(positions):
        row = sums[j * ld : j * ld + height]
        for i in range(height):
            value = row[i] + shift[i]
            row[i] = value if value > 0 else slope * value
