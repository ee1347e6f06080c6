"""Convolution with 3x3 kernels and stride 1 by Winograd's algorithm: 16 products in place of 36.

A tile of 2x2 results needs 4x4 pixels. The 16 numbers that pixels and weights are transformed to (see
`_winograd_transforms`) are multiplied place by place, and the sum over the input channels moves inside: for
each place ξ it is a matrix product of transformed weights U[ξ, c, m] and pixels V[ξ, c, tile], by pick tiles
whose columns are output channels m.

Rounding errors are of the size that adding up the 9 taps has: pixels and products are only added, and each
sum is a ninth as long. They are relative to the largest numbers of a whole tile, though, and what is not
finite spreads over it.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba.np.unsafe.ndarray import to_fixed_tuple

from pycaffe_lite.kernels._block import Packing, pack_panel, store_transposed
from pycaffe_lite.kernels._convolution_pixels import panel_width
from pycaffe_lite.kernels._image import Geometry, geometry_of
from pycaffe_lite.kernels._jit import Array, Tasks, get_num_threads, kernel, take_task, worker_kernel
from pycaffe_lite.kernels._scratch import scratch, worker_memory
from pycaffe_lite.kernels._simd import target, vector_lanes
from pycaffe_lite.kernels._tile import max_pick_rows, pick_tile, tile_count, tile_table
from pycaffe_lite.kernels._weights import Weights, packing
from pycaffe_lite.kernels._winograd_transforms import (
    PLACES,
    pixels_transform,
    products_transform,
    weights_transform,
)

LEAST_CHANNELS, LEAST_OUTPUTS, LEAST_TILES = 16, 16, 12  # below them the transforms cost what they save
MOST_KERNELS = 8192  # of a group per tile: a few tiles do not pay for transforming many kernels
LARGEST = 1 << 20  # kernels in all: 64 MB once they are transformed
PIXELS = 262144  # transformed pixels per task, 1 MB; they are read place by place
PRODUCTS = 49152  # products before the last transform: 192 KB, in the L2 cache
FEW_TILES = 64  # per task, however many channels there are: each task reads all weights
TRANSFORMED_AGAIN = 8192  # kernels, in all tasks but one; to share them costs as much as this
STORED = 128  # results of a channel that are turned round and stored together: 24 KB, in the L1 cache
DEPTH = 128  # channels per piece of the sum
APART = 16  # numbers between places: with a power of two from one to the next all would share cache sets


class Blocks(NamedTuple):
    """How a convolution is cut."""

    images: int  # per task
    lines: int  # lines of tiles per task and image; all of them if images > 1
    height: int  # output channels per task
    step: int  # output channels whose products are kept at a time, but for one more vector that may be left
    length: int  # from one channel's transformed pixels to the next: whole vectors, and one to write beyond
    panels: int  # of transformed weights in a group: two vectors of output channels, the last of up to three
    pieces: int  # of a panel's channels
    own: int  # 1: tasks transform their weights themselves, for which hardly any other task asks
    stored: int  # lines of tiles whose results are turned round and stored together
    tasks: int


FIELDS = len(Blocks._fields)


@kernel
def blocks_of(sizes: Array) -> Blocks:
    """The blocks that an int64 array holds."""
    return Blocks(*to_fixed_tuple(sizes, FIELDS))


class Plan(NamedTuple):
    """Blocks, and what goes with them."""

    tasks: int
    sizes: Array  # Geometry
    blocks: Array  # Blocks
    jobs: Array  # how weights are packed, by group, panel and piece, see `_jobs`
    weights: int  # numbers of all transformed weights, unless they are the tasks' own
    workspace: int  # numbers per worker, for either kernel


def suits(g: Geometry, lanes: int) -> bool:
    """Whether the algorithm applies and pays."""
    fits = g.kernel_h == g.kernel_w == 3 and g.stride_h == g.stride_w == g.dilation_h == g.dilation_w == 1
    rows, channels, tiles = g.M // g.group, g.C // g.group, g.N * ((g.P + 1) // 2) * ((g.Q + 1) // 2)
    large = rows >= LEAST_OUTPUTS and channels >= LEAST_CHANNELS and tiles >= LEAST_TILES
    few = rows * channels <= MOST_KERNELS * tiles and g.M * channels <= LARGEST
    return fits and large and few and rows % lanes == 0


@lru_cache(maxsize=1024)
def plan(g: Geometry, weights: Weights, threads: int, lanes: int) -> Plan:
    """Cut a convolution so that pixels and products of a task stay in the L2 cache."""
    rows, channels, panel = g.M // g.group, g.C // g.group, 2 * lanes
    P, Q, panels = (g.P + 1) // 2, (g.Q + 1) // 2, max(1, rows // panel)
    most = max(FEW_TILES, min(PIXELS // channels, PRODUCTS // panel) // PLACES)
    images = max(1, min(g.N, most // (P * Q)))
    images = -(-g.N // -(-g.N // images))
    lines = P if images > 1 else -(-P // -(-P // max(1, most // Q)))
    columns = -(-g.N // images) * -(-P // lines)
    # Each part of the output channels transforms the pixels again.
    parts = min(panels, -(-threads // (g.group * columns)))
    height = -(-panels // parts) * panel
    tiles, own = images * lines * Q, (columns - 1) * rows * channels <= TRANSFORMED_AGAIN
    step = panel if own else min(height, max(panel, PRODUCTS // (PLACES * tiles) // panel * panel))
    length, widest, stored = -(-tiles // lanes) * lanes + lanes, step + lanes, max(1, STORED // (4 * Q))
    workspace = PLACES * (channels * length + APART) + lanes
    workspace += PLACES * (tiles * widest + APART) + 4 * min(stored, lines) * Q * widest + lanes
    packed = 9 * DEPTH * 3 * lanes + panel
    if own:
        workspace += PLACES * (channels * widest + APART) + packed
    tasks = g.group * columns * -(-panels * panel // height)
    pieces = -(-channels // DEPTH)
    return Plan(
        tasks,
        np.array(g),
        np.array(Blocks(images, lines, height, step, length, panels, pieces, int(own), stored, tasks)),
        _jobs(g, weights, panels, panel),
        0 if own else PLACES * (g.M * channels + APART),
        max(workspace, packed),
    )


def _jobs(g: Geometry, weights: Weights, panels: int, panel: int) -> Array:
    """For each group, panel and piece of DEPTH channels: its packing, and the panel's width."""
    rows, channels = g.M // g.group, g.C // g.group
    jobs = []
    for group in range(g.group):
        for number in range(panels):
            m = number * panel
            width = panel if number + 1 < panels else rows - m
            for c in range(0, channels, DEPTH):
                job = packing(g, weights, group, m, width, c, min(DEPTH, channels - c), 0)
                jobs.append((*job, width))
    return np.array(jobs)


def winograd_product(
    x: Array, a: Array, start: Array, scale: Array, slope: float, y: Array, g: Geometry, weights: Weights
) -> None:
    """Compute `_convolution_forward.product`, without accumulating."""
    threads = get_num_threads()
    if scale.size == 0:
        scale = _ones(g.M, scale.dtype)
    cut = plan(g, weights, threads, target().lanes(y.itemsize))
    memory = worker_memory(y.dtype, min(threads, cut.tasks), cut.workspace)
    a, u = a.reshape(-1), scratch("packed", a.dtype, cut.weights)
    if cut.weights > 0:
        _transform_weights(memory, a, cut.jobs, u, cut.sizes, cut.blocks)
    _forward(
        memory, tile_table(x.dtype), x.reshape(-1), a, cut.jobs, u, scale, start, y.dtype.type(slope),
        y.reshape(-1), cut.sizes, cut.blocks,
    )  # fmt: skip


@lru_cache(maxsize=64)
def _ones(count: int, dtype: np.dtype[Any]) -> Array:
    return np.ones(count, dtype)


@kernel
def transform_panel(
    a: Array, jobs: Array, pieces: int, u: Array, to: int, place_stride: int, space: Array
) -> None:
    """u[to + ξ * place_stride + c * width + i] = (G w[m + i, c] G')[ξ] for a panel of output channels.

    jobs: those of the panel's pieces, and others. space: room for a packed piece.
    """
    no_scale = a[:0]
    lanes = vector_lanes(a)
    for number in range(pieces):
        p, width = Packing(*to_fixed_tuple(jobs[number], 9)), jobs[number, 9]
        pack_panel(a, p, no_scale, width, space)
        for c in range(p.outer * p.inner // 9):
            for v in range(0, width, lanes):
                weights_transform(space, c * 9 * width + v, width, u, to + v, place_stride)
            to += width


@worker_kernel
def _transform_weights(
    a: Array, jobs: Array, u: Array, sizes: Array, blocks: Array, tasks: Tasks, memory: Array
) -> None:
    """Transform all weights: panel m of a group goes to u[(group * rows + m) * channels]."""
    g, cut = geometry_of(sizes), blocks_of(blocks)
    channels, rows, panel = g.C // g.group, g.M // g.group, 2 * vector_lanes(a)
    task_count = g.group * cut.panels
    task = take_task(tasks, task_count)
    while task < task_count:
        to = (task // cut.panels * rows + task % cut.panels * panel) * channels
        place_stride = u.size // PLACES
        transform_panel(
            a, jobs[task * cut.pieces :], cut.pieces, u, to, place_stride, memory
        )  # fmt: skip
        task = take_task(tasks, task_count)


@worker_kernel
def _forward(
    tiles: Array, x: Array, a: Array, jobs: Array, u: Array, scale: Array, start: Array, slope: float,
    y: Array, sizes: Array, blocks: Array, tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """Do tasks of `winograd_product` until none is left."""
    g, cut = geometry_of(sizes), blocks_of(blocks)
    channels, rows, lanes = g.C // g.group, g.M // g.group, vector_lanes(x)
    P, Q, panel = (g.P + 1) // 2, (g.Q + 1) // 2, 2 * lanes
    row_blocks = (cut.panels * panel + cut.height - 1) // cut.height
    image_blocks, line_blocks = (g.N + cut.images - 1) // cut.images, (P + cut.lines - 1) // cut.lines
    largest, ld, ldm = cut.images * cut.lines * Q, cut.length, cut.step + lanes
    # From one place to the next:
    of_pixels, of_products, of_weights = channels * ld + APART, largest * ldm + APART, u.size // PLACES
    pixels, products = memory, memory[PLACES * of_pixels + lanes :]
    results = products[PLACES * of_products :]
    space = results[4 * min(cut.stored, cut.lines) * Q * ldm + lanes :]
    if cut.own:
        of_weights = channels * (cut.step + lanes) + APART
        u, space = space, space[PLACES * of_weights :]
    tile_numbers, channel_numbers = np.arange(largest), np.arange(channels) * ld
    task = take_task(tasks, cut.tasks)
    while task < cut.tasks:
        block, rest = task % row_blocks, task // row_blocks
        p0, rest = rest % line_blocks * cut.lines, rest // line_blocks
        n0, group = rest % image_blocks * cut.images, rest // image_blocks
        images, lines = min(cut.images, g.N - n0), min(cut.lines, P - p0)
        transform_pixels(x, g, n0, images, group * channels, channels, p0, lines, Q, pixels, ld, of_pixels)
        count = images * lines * Q
        i, end = block * cut.height, (block + 1) * cut.height if block + 1 < row_blocks else rows
        while i < end:
            height = cut.step if end - i > cut.step + lanes else end - i
            if cut.own:
                first = (group * cut.panels + i // panel) * cut.pieces
                transform_panel(a, jobs[first:], cut.pieces, u, 0, of_weights, space)
            for place in range(PLACES):
                m = 0
                while m < height:
                    width = panel_width(height - m, lanes)
                    vectors = width // lanes
                    at = place * of_weights + (m if cut.own else group * rows + i + m) * channels
                    tall = tile_count(count, max_pick_rows(vectors))
                    for c in range(0, channels, DEPTH):
                        for t in range(tall):
                            j, last = t * count // tall, (t + 1) * count // tall
                            pick_tile(
                                tiles, last - j, vectors, min(DEPTH, channels - c),
                                pixels, place * of_pixels, tile_numbers, j, channel_numbers, c,
                                u, at + c * width, width,
                                products, place * of_products + j * ldm + m, ldm, c > 0, 0,
                            )  # fmt: skip
                    m += width
            m = group * rows + i
            store_tiles(
                products, of_products, ldm, g, n0, images, p0, lines, cut.stored, m, height, scale, start,
                slope, results, y,
            )  # fmt: skip
            i += height
        task = take_task(tasks, cut.tasks)


@kernel
def transform_pixels(
    x: Array, g: Geometry, n0: int, images: int, first: int, channels: int, p0: int, lines: int, width: int,
    pixels: Array, ld: int, place_stride: int,
) -> None:  # fmt: skip
    """pixels[ξ * place_stride + c * ld + tile] = (B d B')[ξ] for the tiles of some lines, `width` each.

    Tiles are written in ascending order, whole vectors each.
    """
    lanes = vector_lanes(x)
    for c in range(channels):
        to = c * ld
        for n in range(n0, n0 + images):
            plane = (n * g.C + first + c) * g.H * g.W
            for p in range(p0, p0 + lines):
                for q in range(0, width, lanes):
                    h, w = 2 * p - g.pad_h, 2 * q - g.pad_w
                    pixels_transform(x, plane, g.H, g.W, h, w, pixels, to + q, place_stride)
                to += width


@kernel
def store_tiles(
    products: Array, place_stride: int, ld: int, g: Geometry, n0: int, images: int, p0: int, lines: int,
    most: int, m: int, height: int, scale: Array, start: Array, slope: float, results: Array, y: Array,
) -> None:  # fmt: skip
    """y[n, m + i; pixel] = act(scale[m + i] * (A p A')[pixel] + start[m + i]) for i < height, lines of tiles.

    p[ξ] = products[ξ * place_stride + tile * ld + i]. Not more than `most` lines at a time are turned round,
    in `results`. Tiles may reach beyond y's lines and columns.
    """
    width = (g.Q + 1) // 2
    for n in range(images):
        for p in range(0, lines, most):
            some = min(most, lines - p)
            at = (n * lines + p) * width * ld
            transform_products(
                products, at, place_stride, ld, some, width, height, scale, start, m, slope, results
            )
            to = ((n0 + n) * g.M + m) * g.P * g.Q + 2 * (p0 + p) * g.Q
            there = min(2 * some, g.P - 2 * (p0 + p))
            if 2 * width == g.Q:
                store_transposed(results, 0, ld, there * g.Q, height, y, to, g.P * g.Q)
            else:
                for line in range(there):
                    first = line * 2 * width * ld
                    store_transposed(results, first, ld, g.Q, height, y, to + line * g.Q, g.P * g.Q)


@kernel
def transform_products(
    products: Array, at: int, place_stride: int, ld: int, lines: int, width: int, height: int, scale: Array,
    start: Array, m: int, slope: float, results: Array,
) -> None:  # fmt: skip
    """results[pixel * ld + i] = act(..), as in `store_tiles`, for lines of tiles from products[at]."""
    lanes, to = vector_lanes(products), 0
    for _line in range(lines):
        for _tile in range(width):
            for i in range(0, height, lanes):
                products_transform(
                    products, at + i, place_stride, scale, start, m + i, slope, results, to + i, ld,
                    2 * width * ld,
                )  # fmt: skip
            at += ld
            to += 2 * ld
        to += 2 * width * ld
