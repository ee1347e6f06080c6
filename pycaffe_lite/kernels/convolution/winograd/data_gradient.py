"""The gradient of a convolution with respect to its image by Winograd's algorithms, added up tile by tile.

With stride 1 that gradient is a convolution of dy with the flipped kernels. But if the forward convolution
has a narrow border, dy gets a wide one, and there are more tiles than dy has. Here each tile of 2x2 numbers
of dy is transformed, multiplied by the transformed weights and spread over the 4x4 or 6x6 pixels that it was
computed from (`convolution.winograd.transforms`): there are no more tiles than in the forward pass.

For each place ξ the product is E[ξ, c, tile] = sum over m of U[ξ, m, c] D[ξ, m, tile]; the image's channels
c take the place of the output channels in `convolution.winograd.forward`. A vector holds tiles, not
channels, also when results are added up: this pays for images with few channels. A task is some images of a
group; no other task writes to them.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.convolution.geometry import Geometry, geometry_of
from pycaffe_lite.kernels.convolution.weights import WeightLayout
from pycaffe_lite.kernels.convolution.winograd.by_tiles import multiply_by_tiles
from pycaffe_lite.kernels.convolution.winograd.forward import (
    APART,
    LEAST_CHANNELS,
    LEAST_OUTPUTS,
    MOST_KERNELS,
    cut_tiles,
    gain,
    list_runs,
    packed_size,
    places_of,
    staged,
    tiles_of,
    transform_all_weights,
    transform_channels,
    weight_jobs,
)
from pycaffe_lite.kernels.convolution.winograd.transforms import (
    ADDED,
    RUNS,
    WEIGHTS,
    transform_added,
    transform_number,
    transform_table,
)
from pycaffe_lite.kernels.products.sizes import reader_of
from pycaffe_lite.kernels.runtime.decorators import (
    Array,
    Tasks,
    get_num_threads,
    take_task,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.scratch import scratch, worker_memory
from pycaffe_lite.kernels.simd.copies import copy_exact
from pycaffe_lite.kernels.simd.tiles import WIDE_PICK, panel_width, tile_table
from pycaffe_lite.kernels.simd.vectors import keep_small, vector_lanes

LEAST_GAIN = 1.5  # see `convolution.winograd.forward.gain`
LEAST_IMAGES = 8  # of all groups: there can be as many tasks
FEW_TILES = 64  # per task, but a whole image
MOST_TILES = 256  # of an image: its gradient is kept in the cache while tiles are added


class WinogradDataBlocking(NamedTuple):
    """How the products are cut."""

    filled: int  # channels of the image in a group, filled up to whole vectors
    line: int  # pixels of a line of the image with its border, as the tiles cover it
    height: int  # and lines
    weights: int  # the numbers of the transforms of weights
    added: int  # and products
    tasks: int


blocking_of = reader_of(WinogradDataBlocking)


class WinogradDataPlan(NamedTuple):
    """The blocking, and what goes with it."""

    cut: WinogradDataBlocking
    image: Array  # Geometry of the convolution
    sizes: Array  # Geometry of dy as an image, with the lines as they are staged
    tiles: Array  # Tiles
    blocks: Array  # WinogradDataBlocking
    jobs: Array  # see `convolution.winograd.forward.weight_jobs`
    weights: int  # numbers of all transformed weights
    workspace: int  # numbers per worker


def suits(g: Geometry, lanes: int) -> bool:
    """Whether an algorithm applies and pays."""
    rows, channels, tiles = g.C // g.group, g.M // g.group, ((g.P + 1) // 2) * ((g.Q + 1) // 2)
    large = rows >= LEAST_OUTPUTS and channels >= LEAST_CHANNELS and g.N * g.group >= LEAST_IMAGES
    few = tiles <= MOST_TILES and rows * channels <= MOST_KERNELS * g.N * tiles
    return g.stride_h == 1 and gain(g, rows, lanes) >= LEAST_GAIN and large and few


@lru_cache(maxsize=1024)
def plan(g: Geometry, lanes: int) -> WinogradDataPlan:
    """Cut the gradient into tasks of whole images.

    Their number depends on the sizes alone: tiles are added in an order that depends on which share a vector.
    """
    rows, channels = g.C // g.group, g.M // g.group
    size, places = g.kernel_h, places_of(g)
    # dy as an image, whose results are those of its tiles; the image's channels are the output channels
    of_dy = g._replace(C=g.M, H=g.P, W=g.Q, M=g.C, pad_h=0, pad_w=0)
    P, Q = (g.P + 1) // 2, (g.Q + 1) // 2
    images = max(1, min(FEW_TILES // (P * Q), g.N * g.group // LEAST_IMAGES))
    tiles = cut_tiles(of_dy, images * P * Q, lanes, of_dy=True)
    filled = -(-rows // lanes) * lanes
    area = size * size
    weights = WeightLayout(rows * channels * area, area, rows * area, 1)
    jobs = weight_jobs(of_dy, weights, filled, lanes)
    line, height = 2 * Q + size - 1, 2 * P + size - 1
    of_dy, most = staged(of_dy, tiles), min(rows, WIDE_PICK * lanes)
    workspace = tiles.room + places * ((channels + most) * tiles.length + 2 * APART)
    workspace += (tiles.images * height + size + 1) * line + 4 * lanes
    tasks = g.group * -(-g.N // tiles.images)
    added = transform_number(size, ADDED + RUNS.index(lanes // tiles.run))
    cut = WinogradDataBlocking(filled, line, height, transform_number(size, WEIGHTS), added, tasks)
    return WinogradDataPlan(
        cut,
        np.array(g),
        np.array(of_dy),
        np.array(tiles),
        np.array(cut),
        jobs,
        places * (g.group * filled * channels + APART),
        max(workspace, packed_size(area, lanes)),
    )


def add_tiles(dy: Array, w: Array, dx: Array, g: Geometry) -> None:
    """Overwrite dx with the gradient; arrays and sizes as for `convolution.backward_data`."""
    cut, image, sizes, tiles, blocks, jobs, count, workspace = plan(g, target().lanes(dx.itemsize))
    memory = worker_memory(dx.dtype, min(get_num_threads(), cut.tasks), workspace)
    u, table = scratch("packed", w.dtype, count), transform_table(w.dtype)
    transform_all_weights(memory, table, cut.weights, g.kernel_h, w.reshape(-1), jobs, u)
    _add_up(
        memory, tile_table(w.dtype), table, dy.reshape(-1), u, dx.reshape(-1), image, sizes, tiles, blocks
    )


@worker_kernel
def _add_up(
    micro: Array, table: Array, dy: Array, u: Array, dx: Array, image: Array, sizes: Array, of_tiles: Array,
    blocks: Array, tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """Do tasks of `add_tiles` until none is left; sums in the arrays' type, as the tiles are cut."""
    keep_small()
    whole, g, tiles, cut = geometry_of(image), geometry_of(sizes), tiles_of(of_tiles), blocking_of(blocks)
    channels, rows, lanes = g.C // g.group, g.M // g.group, vector_lanes(dy)
    P, places = (g.P + 1) // 2, (g.kernel_h + 1) * (g.kernel_w + 1)
    image_blocks, ld = (g.N + tiles.images - 1) // tiles.images, tiles.length
    plane, area = whole.H * whole.W, cut.height * cut.line
    # From one place to the next:
    of_dy, of_products, of_weights = (
        channels * ld + APART,
        min(rows, WIDE_PICK * lanes) * ld + APART,
        u.size // places,
    )
    lines_of_task, gradients = memory, memory[tiles.room :]
    products = gradients[places * of_dy :]
    pixels = products[places * of_products :]
    starts, places_in_pixels = np.empty(ld // tiles.run, np.int64), np.empty(ld // tiles.run, np.int64)
    row_numbers, channel_numbers = np.arange(WIDE_PICK * lanes), np.empty(channels, np.int64)
    task = take_task(tasks, cut.tasks)
    while task < cut.tasks:
        n0, group = task % image_blocks * tiles.images, task // image_blocks
        images = min(tiles.images, g.N - n0)
        vectors = list_runs(images, P, tiles, tiles.rows * g.line, g.line, lanes, starts)
        list_runs(images, P, tiles, area, cut.line, lanes, places_in_pixels)
        # a repeated run must not be added twice: it goes behind the images
        places_in_pixels[images * P * (tiles.width // tiles.run) :] = images * area
        transform_channels(
            table, dy, g, tiles, n0, images, group * channels, channels, 0, starts, vectors, lines_of_task,
            gradients, ld, lanes, of_dy,
        )  # fmt: skip
        first = 0
        while first < cut.filled:
            width = panel_width(cut.filled - first, lanes)
            height = min(width, rows - first)
            multiply_by_tiles(
                micro, places, u, (group * cut.filled + first) * channels, of_weights, width, height,
                row_numbers, channel_numbers, gradients, of_dy, ld, vectors, products, of_products,
            )  # fmt: skip
            for c in range(height):
                pixels[: images * area] = 0
                transform_added(
                    table, cut.added, vectors, products, c * ld, of_products, places_in_pixels, 0, pixels, 0,
                    cut.line,
                )  # fmt: skip
                for n in range(images):
                    to = ((n0 + n) * g.M + group * rows + first + c) * plane
                    at = n * area + whole.pad_h * cut.line + whole.pad_w
                    if cut.line == whole.W:
                        copy_exact(pixels, at, dx, to, plane)
                    else:
                        for h in range(whole.H):
                            copy_exact(pixels, at + h * cut.line, dx, to + h * whole.W, whole.W)
            first += width
        task = take_task(tasks, cut.tasks)
