"""Forward convolution: the product of packed weights and an image's columns, block by block.

A task is a block of `height` results per position, for some lines of one image or for some whole images.
It walks the depth in pieces of whole channels; lines of whole half vectors are read where they stand (in the
image or in the staged piece), others are put side by side first.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.convolution import depthwise, few_positions
from pycaffe_lite.kernels.convolution.geometry import Geometry, gather, geometry_of, stage, staged_lines, taps
from pycaffe_lite.kernels.convolution.pixels import pixel_product, suits
from pycaffe_lite.kernels.convolution.weights import WeightLayout, packing, weights_in_order
from pycaffe_lite.kernels.convolution.winograd import by_tiles
from pycaffe_lite.kernels.convolution.winograd import forward as winograd
from pycaffe_lite.kernels.products import blocks as _block
from pycaffe_lite.kernels.products.blocks import (
    moved,
    multiply_lines,
    multiply_packed,
    pack_all,
    pack_rows,
    packing_of,
    row_length,
    whole_vectors,
)
from pycaffe_lite.kernels.products.dot import LEAST_DEPTH, dot_product
from pycaffe_lite.kernels.products.long import add_pieces, columns_of, is_long
from pycaffe_lite.kernels.products.shares import MOST_TASKS, TO_BEGIN, longest_share, pieces
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
from pycaffe_lite.kernels.simd.tiles import tile_table
from pycaffe_lite.kernels.simd.vectors import keep_small

# A product whose time goes into writing its result (the weight gradient of an inner product, whose depth is
# the batch) is cut into blocks of few whole rows: memory is fastest when it is written in long runs.
SHALLOW = 64
LARGE = 1 << 21
CROWDED = 64  # channels per piece of the depth if planes share cache sets: whole fours of cache lines
MANY_OUTPUTS = 512  # of an inner product: each image is used so often that rearranging it pays
LEAST_ROWS = 32  # of a task that is cut smaller to balance the load
PACKED_AGAIN = 16384  # weights that all tasks but one may pack again; packing once for all costs as much


class ProductBlocking(NamedTuple):
    """How a product is cut: the sizes of a task and of a piece of its depth."""

    height: int  # rows of weights
    images: int
    lines: int  # lines of results per image; all of them if images > 1
    channels: int  # input channels per piece of the depth
    rows: int  # staged lines per image and channel
    direct: int  # 1: read lines where they stand, without gathering
    bypass: int  # 1: results bypass the caches, for which they are too many
    own: int  # 1: each task packs its weights, which are few
    tasks: int


blocking_of = reader_of(ProductBlocking)


class ProductPlan(NamedTuple):
    """The blocking, and the tables that go with it."""

    tasks: int
    sizes: Array  # Geometry
    blocks: Array  # ProductBlocking
    jobs: Array  # for pack_all
    taps: Array  # of one piece's k
    rows_of_piece: Array  # where the k-th gathered row starts
    packed: int  # numbers of all packed weights, unless they are the tasks' own
    workspace: int  # numbers per worker


@lru_cache(maxsize=1024)
def plan(g: Geometry, weights: WeightLayout, threads: int, lanes: int) -> ProductPlan:
    """Cut a forward convolution into tasks of about equal size, at least two per thread if it is large."""
    area, plane, rows = g.kernel_h * g.kernel_w, g.P * g.Q, g.M // g.group
    images = max(1, min(g.N, _block.COLUMNS // plane))
    images = -(-g.N // -(-g.N // images))
    lines = g.P if images > 1 else -(-g.P // -(-plane // _block.COLUMNS))
    height = -(-rows // -(-rows // _block.ROWS))
    wanted = 2 * threads
    if _tasks(g, height, images, lines) < wanted:
        # split the rows: the columns are then staged again for each part, which costs little
        parts = -(-wanted // _tasks(g, rows, images, lines))
        if rows >= 32 * parts:
            height = -(-rows // parts)
        elif images > 1:
            images = -(-g.N // min(g.N, parts))
        else:
            lines = -(-g.P // min(g.P, parts))
    height, images, lines = _evenly(g, height, images, lines, threads, 2 * lanes)
    bypass = g.bare and g.N == area == 1 and g.C <= SHALLOW and rows * plane >= LARGE
    if bypass:
        height, lines = 12, g.P
    direct = g.Q % (lanes // 2) == 0
    per_group = g.C // g.group
    # Read where they stand, the taps of a kernel share cache lines: more of them fit into the L1 cache.
    most = _block.DEPTH * (1 if not direct else 2 if area == 1 else 4)
    if direct and area == 1 and g.H * g.W % (4 * lanes) == 0:
        most = CROWDED
    channels = -(-per_group // -(-per_group * area // most))
    staged_rows = staged_lines(g, lines)
    positions = images * lines * g.Q
    channel_stride = g.H * g.W if g.bare else staged_rows * g.line
    ld = (positions + 2 * lanes - 1) // (2 * lanes) * 2 * lanes + lanes
    workspace = _block.OUTER_TILE_SIZE
    if not g.bare:
        workspace += images * channels * staged_rows * g.line + 2 * lanes
    if not direct:
        workspace += channels * area * ld + 2 * lanes
    tasks = _tasks(g, height, images, lines)
    columns = tasks // (g.group * -(-rows // height))
    own = channels == per_group and (columns - 1) * rows * per_group * area <= PACKED_AGAIN
    if own:
        workspace += -(-height * per_group * area // lanes) * lanes
    blocks = ProductBlocking(
        height, images, lines, channels, staged_rows, int(direct), int(bypass), int(own), tasks
    )
    return ProductPlan(
        tasks,
        np.array(g),
        np.array(blocks),
        _pack_jobs(g, weights, height, channels),
        taps(g, channels, channel_stride),
        np.arange(channels * area) * ld,
        0 if own else g.M * per_group * area,
        workspace,
    )


def _tasks(g: Geometry, height: int, images: int, lines: int) -> int:
    return g.group * -(-(g.M // g.group) // height) * -(-g.N // images) * -(-g.P // lines)


def _evenly(
    g: Geometry, height: int, images: int, lines: int, threads: int, tile: int
) -> tuple[int, int, int]:
    """A task's rows, images and lines: at most the given ones, and such that threads share few tasks evenly.

    tile: columns of a tile; a partial tile takes as long as a whole one.
    """
    rows, area = g.M // g.group, g.kernel_h * g.kernel_w
    depth = g.C // g.group * area
    row_blocks = -(-rows // height)
    best, least = (height, images, lines), 0
    for count in range(row_blocks, 2 * row_blocks + 1):
        tall = -(-rows // count)
        if tall < LEAST_ROWS and count > row_blocks:
            break
        for some in range(images if images > 1 else lines, 0, -1):
            cut = (tall, some, lines) if images > 1 else (tall, 1, some)
            if _tasks(g, *cut) > MOST_TASKS * threads:
                break
            columns = [
                -(-n * p * g.Q // tile) * tile for n in pieces(g.N, cut[1]) for p in pieces(g.P, cut[2])
            ]
            sizes = [m * depth * j + TO_BEGIN for j in columns for m in pieces(rows, tall)] * g.group
            share = longest_share(sizes, threads)
            if least == 0 or share < least:
                best, least = cut, share
    return best


def _pack_jobs(g: Geometry, weights: WeightLayout, height: int, channels: int) -> Array:
    """How the weights are packed: by group, by block of rows, by piece of the depth (see `packed_at`)."""
    rows, per_group, area = g.M // g.group, g.C // g.group, g.kernel_h * g.kernel_w
    jobs = []
    for group in range(g.group):
        for i0 in range(0, rows, height):
            for c0 in range(0, per_group, channels):
                count, steps = min(height, rows - i0), min(channels, per_group - c0)
                to = packed_at(group * rows, rows, per_group * area, i0, c0 * area, steps * area)
                jobs.append(packing(g, weights, group, i0, count, c0, steps, to))
    return np.array(jobs)


@kernel
def packed_at(first: int, rows: int, K: int, i0: int, k0: int, steps: int) -> int:
    """Where row i0 of the piece k0 .. k0 + steps is packed, in the group whose first row is `first`."""
    return first * K + k0 * rows + i0 * steps


def product(
    x: Array, a: Array, start: Array, scale: Array, slope: float, y: Array, g: Geometry,
    weights: WeightLayout, accumulate: bool = False,
) -> None:  # fmt: skip
    """y[m; j] = act(first + scale[m] * sum over k of A[m, k] col[k; j]), group by group.

    first is y[m; j] if accumulate, else start[m]; A is a as `weights` reads it; scale: (M,), or empty for
    none; act(v) = v if v > 0 else slope * v.
    """
    algorithm = None if accumulate else best_algorithm(g, weights, target().lanes(y.itemsize))
    if algorithm is not _dot_of_images and is_long(g.C // g.group, g.kernel_h * g.kernel_w):
        _product_in_pieces(x, a, start, scale, slope, y, g, weights, accumulate)
    elif algorithm is None:
        _product_by_blocks(x, a, start, scale, slope, y, g, weights, accumulate)
    else:
        algorithm(x, a, start, scale, slope, y, g, weights)


def _product_in_pieces(
    x: Array, a: Array, start: Array, scale: Array, slope: float, y: Array, g: Geometry,
    weights: WeightLayout, accumulate: bool,
) -> None:  # fmt: skip
    """Compute `product`, some channels of each group at a time."""
    plane, no_start = g.H * g.W, np.zeros(g.M, y.dtype)

    def multiply(first: int, end: int, part: Array) -> None:
        of_piece = g._replace(C=g.group * (end - first))
        image = columns_of(x, g.N * g.group, first * plane, end * plane, "channels")
        from_first = weights._replace(at=weights.at + first * weights.channel_stride)
        image = image.reshape(g.N, of_piece.C, plane)
        product(image, a, no_start, scale[:0], 1.0, part, of_piece, from_first)

    taps = g.kernel_h * g.kernel_w
    add_pieces(
        multiply, g.C // g.group, taps, y.reshape(g.N, g.M, -1), start, scale, slope, accumulate
    )  # fmt: skip


@lru_cache(maxsize=1024)
def best_algorithm(g: Geometry, weights: WeightLayout, lanes: int) -> Callable[..., None]:
    """The fastest algorithm for `product` without accumulating; for long sums, that of a piece."""
    if depthwise.suits(g):
        return depthwise.depthwise_product
    if _is_inner_product(g, weights, lanes):
        return _dot_of_images
    if by_tiles.suits(g, lanes):
        return by_tiles.product_by_tiles
    if winograd.suits(g, lanes) and (g.stride_h == 1 or weights == weights_in_order(g)):
        return winograd.winograd_product
    if few_positions.suits(g, weights):
        return few_positions.product_at_few
    return pixel_product if suits(g, lanes) else _product_by_blocks


def _product_by_blocks(
    x: Array, a: Array, start: Array, scale: Array, slope: float, y: Array, g: Geometry,
    weights: WeightLayout, accumulate: bool = False,
) -> None:  # fmt: skip
    """Compute `product` as the module says."""
    threads = get_num_threads()
    cut = plan(g, weights, threads, target().lanes(y.itemsize))
    packed = scratch("packed", a.dtype, cut.packed)
    memory = worker_memory(y.dtype, min(threads, cut.tasks), cut.workspace)
    a = a.reshape(-1)
    if cut.packed > 0:
        pack_all(memory, a, cut.jobs, scale, packed)
    _forward(
        memory, tile_table(x.dtype), x.reshape(-1), a, cut.jobs, scale, packed, start, accumulate,
        y.dtype.type(slope), y.reshape(-1), cut.sizes, cut.blocks, cut.taps, cut.rows_of_piece,
    )  # fmt: skip


def _is_inner_product(g: Geometry, weights: WeightLayout, lanes: int) -> bool:
    """Whether each kernel covers a whole image, and dot tiles are the fastest for it.

    They are unless the images fill one or two vectors, or there are many outputs: then
    `convolution.few_positions` is faster.
    """
    K = g.C * g.kernel_h * g.kernel_w
    covers = g.bare and g.P * g.Q == g.group == 1 and g.kernel_h * g.kernel_w == g.H * g.W
    few = lanes // 2 < g.N <= 2 * lanes
    picked = few or (lanes // 2 < g.N and g.M >= MANY_OUTPUTS)
    return bool(covers) and weights == weights_in_order(g) and K >= LEAST_DEPTH and not picked


def _dot_of_images(
    x: Array, a: Array, start: Array, scale: Array, slope: float, y: Array, g: Geometry,
    _weights: WeightLayout,
) -> None:  # fmt: skip
    """Compute `product` for kernels that cover whole images: an inner product of images."""
    dot_product(x.reshape(g.N, -1), a.reshape(g.M, -1), y.reshape(g.N, -1), False, scale, start, slope)


@worker_kernel
def _forward(
    tiles: Array, x: Array, a: Array, jobs: Array, scale: Array, packed: Array, start: Array, add: bool,
    slope: float, y: Array, sizes: Array, blocks: Array, taps: Array, rows_of_piece: Array, tasks: Tasks,
    memory: Array,
) -> None:  # fmt: skip
    """Do tasks of `product` until none is left; sums in the arrays' type. jobs: see `_pack_jobs`."""
    keep_small()
    g, cut = geometry_of(sizes), blocking_of(blocks)
    area, channels, rows, plane = g.kernel_h * g.kernel_w, g.C // g.group, g.M // g.group, g.P * g.Q
    K, depth = channels * area, cut.channels * area
    row_blocks = (rows + cut.height - 1) // cut.height
    image_blocks, line_blocks = (g.N + cut.images - 1) // cut.images, (g.P + cut.lines - 1) // cut.lines
    b_line = g.stride_h * g.line
    tile, space = memory[: _block.OUTER_TILE_SIZE], memory[_block.OUTER_TILE_SIZE :]
    if cut.own:
        packed, space = space, space[whole_vectors(cut.height * K, x) :]
    # memory after the staged lines, if there are any, holds gathered ones
    staged = whole_vectors(cut.images * cut.channels * cut.rows * g.line, x)
    piece = space if g.bare else space[staged:]
    ld = row_length(cut.images * cut.lines * g.Q, x)
    sites = np.empty(_block.SITES_SIZE, np.int64)
    task = take_task(tasks, cut.tasks)
    while task < cut.tasks:
        i0, rest = task % row_blocks * cut.height, task // row_blocks
        p0, rest = rest % line_blocks * cut.lines, rest // line_blocks
        n0, group = rest % image_blocks * cut.images, rest // image_blocks
        images, lines = min(cut.images, g.N - n0), min(cut.lines, g.P - p0)
        m, height = group * rows + i0, min(cut.height, rows - i0)
        if cut.own:
            job = packing_of(jobs[group * row_blocks + i0 // cut.height])
            pack_rows(a, moved(job, 0), scale, packed)
        for k0 in range(0, K, depth):
            steps = min(depth, K - k0)
            c0, c1 = group * channels + k0 // area, group * channels + (k0 + steps) // area
            at = 0 if cut.own else packed_at(group * rows, rows, K, i0, k0, steps)
            accumulate, activate = add or k0 > 0, k0 + steps == K and slope != 1
            if g.bare:
                b, bo, b_image = x, (n0 * g.C + c0) * g.H * g.W + p0 * b_line, g.C * g.H * g.W
            else:
                stage(x, g, n0, n0 + images, c0, c1, p0 * g.stride_h, cut.rows, space)
                b, bo, b_image = space, 0, (c1 - c0) * cut.rows * g.line
            if cut.direct:
                multiply_lines(
                    tiles, packed, at, height, steps, b, bo, taps, 0,
                    y, (n0 * g.M + m) * plane + p0 * g.Q, plane, images, lines, g.Q,
                    b_image, b_line, g.M * plane, g.Q, start, m, accumulate, activate, slope,
                    cut.bypass != 0 and not accumulate, sites,
                )  # fmt: skip
            else:
                gather(b, bo, taps, 0, steps, images, lines, g.Q, b_image, b_line, piece, ld)
                j0 = n0 * plane + p0 * g.Q
                multiply_packed(
                    tiles, packed, at, height, steps, piece, rows_of_piece, y, m * plane, plane,
                    j0, j0 + images * lines * g.Q, plane, g.M * plane,
                    start, m, accumulate, activate, slope, tile, sites,
                )  # fmt: skip
        task = take_task(tasks, cut.tasks)
