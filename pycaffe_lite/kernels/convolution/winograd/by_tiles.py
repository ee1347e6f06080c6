"""Convolution by Winograd's algorithms as in `forward`, with vectors of tiles, not of output channels.

It is used if vectors of output channels would leave more lanes unused: 50 channels fill three vectors and two
lanes of a fourth. For each place ξ the product is U[ξ, i, c] V[ξ, c, tile]; weights are picked, and the
transformed pixels are read where they are. Results leave the last transform in lines, as they are stored.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.convolution.geometry import Geometry, geometry_of
from pycaffe_lite.kernels.convolution.weights import WeightLayout
from pycaffe_lite.kernels.convolution.winograd import forward as forward_pass
from pycaffe_lite.kernels.convolution.winograd.forward import (
    APART,
    DEPTH,
    FEW_TILES,
    cut_tiles,
    list_runs,
    ones,
    packed_size,
    places_of,
    staged,
    tiles_of,
    transform_all_weights,
    transform_channels,
    weight_jobs,
)
from pycaffe_lite.kernels.convolution.winograd.transforms import (
    RESULTS_OF_TILES,
    RUNS,
    WEIGHTS,
    transform_number,
    transform_results_of_tiles,
    transform_table,
)
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
from pycaffe_lite.kernels.simd.copies import copy_exact
from pycaffe_lite.kernels.simd.tiles import (
    WIDE_PICK,
    max_pick_rows,
    panel_width,
    pick_tile,
    tile_count,
    tile_table,
)
from pycaffe_lite.kernels.simd.vectors import keep_small, vector_lanes

LEAST_TASKS = 8  # each with all output channels; with fewer tasks, cores may have no work


class ByTilesBlocking(NamedTuple):
    """How the products are cut."""

    filled: int  # output channels of a group, filled up to whole vectors
    weights: int  # the numbers of the transforms of weights
    results: int  # and results
    tasks: int


blocking_of = reader_of(ByTilesBlocking)


class ByTilesPlan(NamedTuple):
    """The blocking, and what goes with it."""

    cut: ByTilesBlocking
    image: Array  # Geometry, with the lines as they are staged
    tiles: Array  # Tiles
    blocks: Array  # ByTilesBlocking
    jobs: Array  # see `convolution.winograd.forward.weight_jobs`
    weights: int  # numbers of all transformed weights
    workspace: int  # numbers per worker, for either kernel


def suits(g: Geometry, lanes: int) -> bool:
    """Whether an algorithm applies and pays, and is faster with vectors of tiles."""
    if g.stride_h > 1 or not forward_pass.suits(g, lanes):
        return False
    rows, Q, tiles = g.M // g.group, (g.Q + 1) // 2, _tiles(g, lanes)
    fuller = -(-rows // lanes) * lanes * Q > rows * tiles.width
    return fuller and _tasks(g, tiles) >= LEAST_TASKS


def _tiles(g: Geometry, lanes: int) -> forward_pass.Tiles:
    """A task's tiles, few enough for their transformed pixels to stay in the L2 cache."""
    return cut_tiles(g, FEW_TILES, lanes)


def _tasks(g: Geometry, tiles: forward_pass.Tiles) -> int:
    return g.group * -(-g.N // tiles.images) * -(-((g.P + 1) // 2) // tiles.lines)


@lru_cache(maxsize=1024)
def plan(g: Geometry, weights: WeightLayout, lanes: int) -> ByTilesPlan:
    """Cut a convolution into tasks of some tiles each, with all output channels."""
    rows, channels, places = g.M // g.group, g.C // g.group, places_of(g)
    filled, tiles = -(-rows // lanes) * lanes, _tiles(g, lanes)
    workspace = tiles.room + places * ((channels + WIDE_PICK * lanes) * tiles.length + 2 * APART)
    workspace += 4 * tiles.images * tiles.lines * tiles.width + 2 * lanes
    results = transform_number(g.kernel_h, RESULTS_OF_TILES + RUNS.index(lanes // tiles.run))
    cut = ByTilesBlocking(filled, transform_number(g.kernel_h, WEIGHTS), results, _tasks(g, tiles))
    return ByTilesPlan(
        cut,
        np.array(staged(g, tiles)),
        np.array(tiles),
        np.array(cut),
        weight_jobs(g, weights, filled, lanes),
        places * (g.group * filled * channels + APART),
        max(workspace, packed_size(g.kernel_h * g.kernel_w, lanes)),
    )


def product_by_tiles(
    x: Array, a: Array, start: Array, scale: Array, slope: float, y: Array, g: Geometry, weights: WeightLayout
) -> None:
    """Compute `convolution.blocked.product`, without accumulating."""
    cut, image, tiles, blocks, jobs, count, workspace = plan(g, weights, target().lanes(y.itemsize))
    memory = worker_memory(y.dtype, min(get_num_threads(), cut.tasks), workspace)
    u, table = scratch("packed", a.dtype, count), transform_table(x.dtype)
    transform_all_weights(memory, table, cut.weights, g.kernel_h, a.reshape(-1), jobs, u)
    _forward(
        memory, tile_table(x.dtype), table, x.reshape(-1), u, scale if scale.size else ones(g.M, a.dtype),
        start, y.dtype.type(slope), y.reshape(-1), image, tiles, blocks,
    )  # fmt: skip


@worker_kernel
def _forward(
    micro: Array, table: Array, x: Array, u: Array, scale: Array, start: Array, slope: float, y: Array,
    sizes: Array, of_tiles: Array, blocks: Array, tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """Do tasks of `product_by_tiles` until none is left."""
    keep_small()
    g, tiles, cut = geometry_of(sizes), tiles_of(of_tiles), blocking_of(blocks)
    channels, rows, lanes = g.C // g.group, g.M // g.group, vector_lanes(x)
    P, places = (g.P + 1) // 2, (g.kernel_h + 1) * (g.kernel_w + 1)
    image_blocks, line_blocks = (g.N + tiles.images - 1) // tiles.images, (P + tiles.lines - 1) // tiles.lines
    ld, line, plane = tiles.length, 2 * tiles.width, g.P * g.Q
    # From one place to the next:
    of_pixels, of_products, of_weights = (
        channels * ld + APART,
        WIDE_PICK * lanes * ld + APART,
        u.size // places,
    )
    lines_of_task, pixels = memory, memory[tiles.room :]
    products = pixels[places * of_pixels :]
    results = products[places * of_products :]
    starts, places_in_results = np.empty(ld // tiles.run, np.int64), np.empty(ld // tiles.run, np.int64)
    row_numbers, channel_numbers = np.arange(WIDE_PICK * lanes), np.empty(channels, np.int64)
    task = take_task(tasks, cut.tasks)
    while task < cut.tasks:
        p0, rest = task % line_blocks * tiles.lines, task // line_blocks
        n0, group = rest % image_blocks * tiles.images, rest // image_blocks
        images, lines = min(tiles.images, g.N - n0), min(tiles.lines, P - p0)
        vectors = list_runs(images, lines, tiles, tiles.rows * g.line, g.line, lanes, starts)
        list_runs(images, lines, tiles, 2 * lines * line, line, lanes, places_in_results)
        transform_channels(
            table, x, g, tiles, n0, images, group * channels, channels, p0, starts, vectors, lines_of_task,
            pixels, ld, lanes, of_pixels,
        )  # fmt: skip
        there = min(2 * lines, g.P - 2 * p0)
        at_once = there if line == g.Q else 1
        first = 0
        while first < cut.filled:
            width = panel_width(cut.filled - first, lanes)
            height, m = min(width, rows - first), group * rows + first
            multiply_by_tiles(
                micro, places, u, (group * cut.filled + first) * channels, of_weights, width, height,
                row_numbers, channel_numbers, pixels, of_pixels, ld, vectors, products, of_products,
            )  # fmt: skip
            for i in range(height):
                transform_results_of_tiles(
                    table, cut.results, vectors, products, i * ld, of_products, scale, m + i, start, m + i,
                    slope, places_in_results, 0, results, 0, line,
                )  # fmt: skip
                for n in range(images):
                    at, to = n * 2 * lines * line, ((n0 + n) * g.M + m + i) * plane + 2 * p0 * g.Q
                    for p in range(0, there, at_once):
                        copy_exact(results, at + p * line, y, to + p * g.Q, at_once * g.Q)
            first += width
        task = take_task(tasks, cut.tasks)


@kernel
def multiply_by_tiles(
    micro: Array, places: int, u: Array, first: int, of_weights: int, width: int, height: int,
    row_numbers: Array, channel_numbers: Array, pixels: Array, of_pixels: int, ld: int, vectors: int,
    products: Array, of_products: int,
) -> None:  # fmt: skip
    """products[ξ * of_products + i * ld + t] = sum over c of u[ξ, c, i] pixels[ξ, c, t] for i < height.

    Tiles t fill so many vectors; pixels[ξ, c, t] is at ξ * of_pixels + c * ld + t. u: one panel, `width`
    numbers wide, at first + ξ * of_weights. row_numbers: 0, 1, ..; channel_numbers: room for a number of each
    channel.
    """
    lanes, channels = vector_lanes(pixels), channel_numbers.size
    for c in range(channels):
        channel_numbers[c] = c * width
    for place in range(places):
        for c in range(0, channels, DEPTH):
            for v in range(0, vectors, 2):
                wide = min(2, vectors - v)
                tall = tile_count(height, max_pick_rows(wide))
                for t in range(tall):
                    i, last = t * height // tall, (t + 1) * height // tall
                    pick_tile(
                        micro, last - i, wide, min(DEPTH, channels - c),
                        u, first + place * of_weights, row_numbers, i, channel_numbers, c,
                        pixels, place * of_pixels + c * ld + v * lanes, ld,
                        products, place * of_products + i * ld + v * lanes, ld, c > 0, 0, 0, 0,
                    )  # fmt: skip
