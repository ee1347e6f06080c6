"""Convolution with 3x3 or 5x5 kernels by Winograd's algorithms: fewer products.

Convolutions with a stride are computed as convolutions of the image's phases (`convolution.phases`).

A tile of 2x2 results needs 4x4 pixels, or 6x6. Pixels and weights are transformed to 16 or 36 numbers (see
`convolution.winograd.transforms`), which are multiplied place by place, and the sum over the input channels
moves inside: for each place ξ it is a matrix product of transformed weights U[ξ, c, m] and pixels
V[ξ, c, tile], computed by pick tiles whose columns are output channels m.

For 3x3 kernels rounding errors are as large as those of adding up the 9 taps: pixels and products are only
added, and each sum is a ninth as long. For 5x5 kernels they are up to four times as large. They are relative
to the largest numbers of a whole tile, though, and values that are not finite spread over it.

The lines of an image are staged, with their padding and zeros beyond, one channel of the task at a time.
Tiles are numbered line by line; a line has room for `width` of them, whole runs; the first Q / 2 are used.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from pycaffe_lite.kernels.convolution.geometry import Geometry, geometry_of, list_columns, stage
from pycaffe_lite.kernels.convolution.phases import split_kernels, without_stride
from pycaffe_lite.kernels.convolution.weights import WeightLayout, packing, weights_in_order
from pycaffe_lite.kernels.convolution.winograd.transforms import (
    ALGORITHMS,
    DY,
    PIXELS,
    RESULTS,
    RUNS,
    WEIGHTS,
    transform_number,
    transform_numbers,
    transform_results,
    transform_table,
    transform_tiles,
    transform_weights,
)
from pycaffe_lite.kernels.products.blocks import pack_panel, packing_of, store_transposed
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
from pycaffe_lite.kernels.simd.tiles import (
    WIDE_PICK,
    max_pick_rows,
    panel_width,
    pick_tile,
    tile_count,
    tile_table,
)
from pycaffe_lite.kernels.simd.vectors import keep_small, vector_lanes

LEAST_CHANNELS, LEAST_OUTPUTS, LEAST_TILES = 16, 16, 12  # below them the transforms cost what they save
LEAST_GAIN = 1.8  # see `gain`
MOST_KERNELS = 8192  # of a group per tile: a few tiles do not pay for transforming many kernels
LARGEST = 1 << 20  # kernels in all: 64 MB once they are transformed
MOST_PIXELS = 229376  # transformed pixels per task, 896 KB; they are read place by place
MOST_PRODUCTS = 49152  # before the last transform: 192 KB, in the L2 cache; twice as many if pixels leave it
LEAST_PER_TASK = 49  # tiles, however many channels there are: each task reads all weights
FEW_TILES = 64  # per task that are enough
STORED = 128  # results of a channel that are transposed and stored together: 24 KB, in the L1 cache
DEPTH = 128  # channels per piece of the sum
PIECE = 16  # channels whose weights are transformed together
APART = 16  # numbers between places: at distances of a power of two all would share cache sets


class Tiles(NamedTuple):
    """How the pixels of a task are transformed."""

    images: int  # per task
    lines: int  # lines of tiles per task and image; all of them if images > 1
    width: int  # tiles that a line has room for
    run: int  # tiles in a run of a vector
    transform: int  # the number of the pixels' transform
    rows: int  # staged lines per image
    line: int  # pixels of a staged line, of each phase
    room: int  # for staged lines of all images: whole vectors, so that what follows starts at a cache line
    length: int  # room for the tiles of a channel: whole vectors, an odd number of them


tiles_of = reader_of(Tiles)


class WinogradBlocking(NamedTuple):
    """How the products are cut."""

    filled: int  # output channels of a group, filled up to whole vectors
    height: int  # output channels per task; the last one has all that are left
    blocks: int  # of output channels in a group, each a task
    step: int  # output channels, at most, whose products are kept at a time: whole panels
    ld: int  # from the products of one tile to those of the next: an odd number of vectors
    stored: int  # lines of tiles whose results are transposed and stored together
    weights: int  # the numbers of the transforms of weights
    results: int  # and results
    tasks: int


blocking_of = reader_of(WinogradBlocking)


class WinogradPlan(NamedTuple):
    """The blocking, and what goes with it."""

    cut: WinogradBlocking
    image: Array  # Geometry, with the lines as they are staged
    sizes: Array  # Geometry without its stride, see `convolution.phases`
    tiles: Array  # Tiles
    blocks: Array  # WinogradBlocking
    jobs: Array  # how weights are transformed, see `weight_jobs`
    weights: int  # numbers of all transformed weights
    workspace: int  # numbers per worker, for either kernel


def applies(g: Geometry) -> bool:
    """Whether there is an algorithm for such kernels, or for those of the image's phases."""
    square = g.kernel_h == g.kernel_w and g.stride_h == g.stride_w and g.dilation_h == g.dilation_w == 1
    return square and g.kernel_h > g.stride_h and -(-g.kernel_h // g.stride_h) in ALGORITHMS


def places_of(g: Geometry) -> int:
    """Numbers of a transformed tile of a convolution without stride."""
    return (g.kernel_h + 1) ** 2


def gain(g: Geometry, rows: int, lanes: int) -> float:
    """How many products of the definition one product of the algorithm replaces; 0 if there is none.

    The `rows` output channels of a group are filled up to whole vectors.
    """
    if not applies(g):
        return 0
    filled, of_phases = -(-rows // lanes) * lanes, without_stride(g)
    return 4 * g.kernel_h * g.kernel_w * rows * g.C / (filled * places_of(of_phases) * of_phases.C)


def suits(g: Geometry, lanes: int) -> bool:
    """Whether an algorithm applies and pays. With a stride, weights have to be in order."""
    rows, channels = g.M // g.group, g.C // g.group * g.stride_h * g.stride_w
    tiles = g.N * ((g.P + 1) // 2) * ((g.Q + 1) // 2)
    large = rows >= LEAST_OUTPUTS and channels >= LEAST_CHANNELS and tiles >= LEAST_TILES
    few = rows * channels <= MOST_KERNELS * tiles and g.M * channels <= LARGEST
    return gain(g, rows, lanes) >= LEAST_GAIN and large and few


def cut_tiles(g: Geometry, most: int, lanes: int, stride: int = 1, of_dy: bool = False) -> Tiles:
    """The tiles of a task: at most `most` of them, but at least a whole line.

    g has no stride. stride: that of the convolution whose phases g convolves; a staged line of the image
    holds as many lines of g, and each of these is staged as often. of_dy: tiles of 2x2 numbers of dy, not of
    pixels.
    """
    P, Q = (g.P + 1) // 2, (g.Q + 1) // 2
    images = max(1, min(g.N, most // (P * Q)))
    images = -(-g.N // -(-g.N // images))
    lines = P if images > 1 else -(-P // -(-P // max(1, most // Q)))
    # Long runs are the fastest to read, but short ones leave less of a line's vectors unused.
    kinds = [i for i, runs in enumerate(RUNS) if runs <= lanes]
    kind = min(kinds, key=lambda i: (-(-Q // (lanes // RUNS[i])) * (lanes // RUNS[i]), i))
    run = lanes // RUNS[kind]
    width = -(-Q // run) * run
    vectors = -(-images * lines * width // lanes)
    transform = transform_number(g.kernel_h, (DY if of_dy else PIXELS) + kind)
    rows = 2 * lines if of_dy else 2 * lines + g.kernel_h - 1
    line = -(-(2 * width + g.kernel_w - 1) // lanes) * lanes
    room = -(-images * rows * line * stride**2 // lanes) * lanes + 2 * lanes
    return Tiles(images, lines, width, run, transform, rows, line, room, (vectors | 1) * lanes)


def staged(g: Geometry, tiles: Tiles) -> Geometry:
    """The geometry with lines that are staged by phases, and as long as the tiles need them."""
    return g._replace(bare=0, phases=g.stride_w, run=tiles.line, line=g.stride_w * tiles.line)


def cut_evenly(filled: int, parts: int, lanes: int) -> tuple[int, int]:
    """How `filled` channels are cut into blocks of whole panels: (channels per block, blocks).

    There are at most `parts` blocks; the last one has all channels that are left.
    """
    panel = WIDE_PICK * lanes
    panels = max(1, -(-(filled - lanes) // panel))
    height = -(-panels // parts) * panel
    return height, max(1, -(-(filled - lanes) // height))


@lru_cache(maxsize=1024)
def plan(g: Geometry, weights: WeightLayout, threads: int, lanes: int) -> WinogradPlan:
    """Cut a convolution so that pixels and products of a task stay in the L2 cache."""
    image, g = g, without_stride(g)
    rows, channels, places, area = g.M // g.group, g.C // g.group, places_of(g), g.kernel_h * g.kernel_w
    filled = -(-rows // lanes) * lanes
    P, Q = (g.P + 1) // 2, (g.Q + 1) // 2
    fitting = MOST_PIXELS // (places * channels)
    most = max(LEAST_PER_TASK, min(fitting, max(FEW_TILES, MOST_PRODUCTS // (2 * lanes * places))))
    tiles = cut_tiles(g, most, lanes, image.stride_h)
    columns = -(-g.N // tiles.images) * -(-P // tiles.lines)
    # Each part of the output channels transforms the pixels again.
    height, blocks = cut_evenly(filled, -(-threads // (g.group * columns)), lanes)
    count = tiles.images * tiles.lines * Q
    # If the pixels do not stay in the cache, they are read less often.
    products = MOST_PRODUCTS if places * channels * count <= MOST_PIXELS else 2 * MOST_PRODUCTS
    step = min(filled, max(WIDE_PICK, products // (places * count) // lanes) * lanes)
    ld, stored = (step // lanes | 1) * lanes, max(1, STORED // (4 * Q))
    workspace = tiles.room + places * (channels * tiles.length + APART)
    workspace += places * (count * ld + APART) + 4 * min(stored, tiles.lines) * Q * ld + lanes
    numbers = transform_numbers(g.kernel_h, WEIGHTS, RESULTS)
    cut = WinogradBlocking(filled, height, blocks, step, ld, stored, *numbers, g.group * columns * blocks)
    return WinogradPlan(
        cut,
        np.array(staged(image, tiles)),
        np.array(g),
        np.array(tiles),
        np.array(cut),
        weight_jobs(g, weights, filled, lanes),
        places * (g.group * filled * channels + APART),
        max(workspace, packed_size(area, lanes)),
    )


def packed_size(area: int, lanes: int) -> int:
    """Numbers of a PIECE of a panel's kernels, packed, and the room after them."""
    return (area * PIECE + 1) * WIDE_PICK * lanes


def weight_jobs(g: Geometry, weights: WeightLayout, filled: int, lanes: int) -> Array:
    """For each group, panel and PIECE of its channels: its packing, the panel's width, and where it goes.

    The panel of the output channels from m on starts at (group * filled + m) * channels, as of every place.
    """
    rows, channels = g.M // g.group, g.C // g.group
    jobs = []
    for group in range(g.group):
        m = 0
        while m < filled:
            width = panel_width(filled - m, lanes)
            for c in range(0, channels, PIECE):
                many = min(width, rows - m), c, min(PIECE, channels - c)
                to = (group * filled + m) * channels + c * width
                jobs.append((*packing(g, weights, group, m, *many, 0), width, to))
            m += width
    return np.array(jobs)


def winograd_product(
    x: Array, a: Array, start: Array, scale: Array, slope: float, y: Array, g: Geometry, weights: WeightLayout
) -> None:
    """Compute `convolution.blocked.product`, without accumulating."""
    threads = get_num_threads()
    if scale.size == 0:
        scale = ones(g.M, scale.dtype)
    lanes = target().lanes(y.itemsize)
    of_phases, kernels = without_stride(g), a.reshape(-1)
    if g.stride_h > 1:
        weights = weights_in_order(of_phases)
        kernels = scratch("kernels", a.dtype, g.M * weights.row_stride)
    cut, image, sizes, tiles, blocks, jobs, count, workspace = plan(g, weights, threads, lanes)
    memory = worker_memory(y.dtype, min(threads, cut.tasks), workspace)
    if g.stride_h > 1:
        split_kernels(memory, a.reshape(-1), kernels, image)
    u, table = scratch("packed", a.dtype, count), transform_table(x.dtype)
    transform_all_weights(memory, table, cut.weights, of_phases.kernel_h, kernels, jobs, u)
    _forward(
        memory, tile_table(x.dtype), table, x.reshape(-1), u, scale, start,
        y.dtype.type(slope), y.reshape(-1), image, sizes, tiles, blocks,
    )  # fmt: skip


@lru_cache(maxsize=64)
def ones(count: int, dtype: np.dtype[Any]) -> Array:
    """An array of ones, which must not be written to."""
    return np.ones(count, dtype)


@worker_kernel
def transform_all_weights(
    table: Array, number: int, size: int, a: Array, jobs: Array, u: Array, tasks: Tasks, memory: Array
) -> None:
    """u[to + ξ * u.size // places + c * width + i] = (G w[m + i, c] G')[ξ] for all size x size kernels.

    A task is a piece of a panel; jobs: `weight_jobs`.
    """
    area, place_stride = size * size, u.size // ((size + 1) * (size + 1))
    no_scale, lanes = a[:0], vector_lanes(a)
    task = take_task(tasks, jobs.shape[0])
    while task < jobs.shape[0]:
        p, width, to = packing_of(jobs[task]), jobs[task, 9], jobs[task, 10]
        pack_panel(a, p, no_scale, width, memory)
        for v in range(0, width, lanes):
            count = p.outer * p.inner // area
            transform_weights(table, number, count, memory, v, width, u, to + v, place_stride)
        task = take_task(tasks, jobs.shape[0])


@kernel
def list_runs(images: int, lines: int, tiles: Tiles, image: int, line: int, lanes: int, starts: Array) -> int:
    """List where the runs of a task's tiles start; returns how many vectors they fill.

    image, line: from one image to the next, from one line of pixels to the next. The last vector may repeat
    the last run.
    """
    keep_small()
    count, of_vector = 0, lanes // tiles.run
    for n in range(images):
        for p in range(lines):
            for q in range(0, tiles.width, tiles.run):
                starts[count] = n * image + 2 * p * line + 2 * q
                count += 1
    while count % of_vector > 0:
        starts[count] = starts[count - 1]
        count += 1
    return count // of_vector


@kernel
def transform_channels(
    table: Array, x: Array, g: Geometry, tiles: Tiles, n0: int, images: int, first: int, channels: int,
    p0: int, starts: Array, vectors: int, lines: Array, pixels: Array, channel: int, vector: int,
    place_stride: int,
) -> None:  # fmt: skip
    """pixels[ξ * place_stride + c * channel + v * vector + l] = (B' d B)[ξ] for all tiles of a task.

    c < channels, vectors v of tiles, lanes l. The tiles begin at line p0 of tiles of image n0. g: the
    image, whose phases are channels from `first` on; channels: all phases of some. starts, vectors: of
    `list_runs`. lines: room for staged ones.
    """
    s, to = g.stride_h, 0
    for c in range(first // (s * s), (first + channels) // (s * s)):
        stage(x, g, n0, n0 + images, c, c + 1, 2 * p0 * s, tiles.rows * s, lines)
        for phase in range(s * s):
            at = phase // s * g.line + phase % s * g.run
            transform_tiles(
                table, tiles.transform, vectors, starts, 0, lines, at, s * g.line,
                pixels, to, vector, place_stride,
            )  # fmt: skip
            to += channel


@worker_kernel
def _forward(
    micro: Array, table: Array, x: Array, u: Array, scale: Array, start: Array, slope: float,
    y: Array, of_image: Array, sizes: Array, of_tiles: Array, blocks: Array, tasks: Tasks,
    memory: Array,
) -> None:  # fmt: skip
    """Do tasks of `winograd_product` until none is left."""
    image, g, tiles, cut = geometry_of(of_image), geometry_of(sizes), tiles_of(of_tiles), blocking_of(blocks)
    channels, rows, lanes = g.C // g.group, g.M // g.group, vector_lanes(x)
    P, Q, places = (g.P + 1) // 2, (g.Q + 1) // 2, (g.kernel_h + 1) * (g.kernel_w + 1)
    image_blocks, line_blocks = (g.N + tiles.images - 1) // tiles.images, (P + tiles.lines - 1) // tiles.lines
    largest, ld, ldm = tiles.images * tiles.lines * Q, tiles.length, cut.ld
    # From one place to the next:
    of_pixels, of_products, of_weights = channels * ld + APART, largest * ldm + APART, u.size // places
    lines_of_task, pixels = memory, memory[tiles.room :]
    products = pixels[places * of_pixels :]
    results = products[places * of_products :]
    starts, tile_numbers = np.empty(ld // tiles.run, np.int64), np.empty(largest, np.int64)
    # Vectors of tiles, each with all channels: what a pick tile reads lies close together.
    of_vector, channel_numbers = channels * lanes, np.arange(channels) * lanes
    task = take_task(tasks, cut.tasks)
    while task < cut.tasks:
        block, rest = task % cut.blocks, task // cut.blocks
        p0, rest = rest % line_blocks * tiles.lines, rest // line_blocks
        n0, group = rest % image_blocks * tiles.images, rest // image_blocks
        images, lines = min(tiles.images, g.N - n0), min(tiles.lines, P - p0)
        line = image.stride_h * image.line
        vectors = list_runs(images, lines, tiles, tiles.rows * line, line, lanes, starts)
        transform_channels(
            table, x, image, tiles, n0, images, group * channels, channels, p0, starts, vectors,
            lines_of_task, pixels, lanes, of_vector, of_pixels,
        )  # fmt: skip
        count = list_columns(images, lines, Q, 1, lines * tiles.width, tiles.width, tile_numbers)
        for t in range(count):
            tile_numbers[t] = tile_numbers[t] // lanes * of_vector + tile_numbers[t] % lanes
        i, end = block * cut.height, (block + 1) * cut.height if block + 1 < cut.blocks else cut.filled
        while i < end:
            height, more = 0, panel_width(end - i, lanes)
            while more > 0 and height + more <= cut.step:
                height += more
                more = panel_width(end - i - height, lanes)
            multiply_places(
                micro, places, pixels, of_pixels, tile_numbers, count, channel_numbers, channels,
                u, (group * cut.filled + i) * channels, of_weights, height, products, ldm, of_products,
            )  # fmt: skip
            there = min(height, rows - i)
            store_tiles(
                table, cut.results, products, of_products, ldm, g, n0, images, p0, lines, cut.stored,
                group * rows + i, there, scale, start, slope, results, y,
            )  # fmt: skip
            i += height
        task = take_task(tasks, cut.tasks)


@kernel
def multiply_places(
    micro: Array, places: int, pixels: Array, of_pixels: int, tile_numbers: Array, count: int,
    channel_numbers: Array, channels: int, u: Array, first: int, of_weights: int, height: int,
    products: Array, ld: int, of_products: int,
) -> None:  # fmt: skip
    """products[ξ * of_products + t * ld + i] = sum over c of pixels[ξ, tile t, c] u[ξ, c, i], i < height.

    pixels[ξ, t, c] = pixels[ξ * of_pixels + tile_numbers[t] + channel_numbers[c]], t < count, c < channels.
    u: panels as `transform_all_weights` makes them, the first one at u[first + ξ * of_weights]. While
    the tiles use one panel, the next one is prefetched step by step: it may have to come from memory.
    """
    lanes = vector_lanes(pixels)
    for place in range(places):
        m = 0
        while m < height:
            width = panel_width(height - m, lanes)
            vectors, at = width // lanes, place * of_weights + first + m * channels
            tall = tile_count(count, max_pick_rows(vectors))
            following, each = at + channels * width, (vectors * lanes + tall - 1) // tall
            if m + width >= height:  # the next place, or the output channels behind these
                following = first + ((place + 1) * of_weights if place + 1 < places else height * channels)
            for c in range(0, channels, DEPTH):
                depth = min(DEPTH, channels - c)
                for t in range(tall):
                    j, last = t * count // tall, (t + 1) * count // tall
                    pick_tile(
                        micro, last - j, vectors, depth,
                        pixels, place * of_pixels, tile_numbers, j, channel_numbers, c,
                        u, at + c * width, width,
                        products, place * of_products + j * ld + m, ld, c > 0, 0, following, each,
                    )  # fmt: skip
                    following += each * ((depth + lanes - 1) // lanes) * lanes
            m += width


@kernel
def store_tiles(
    table: Array, number: int, products: Array, place_stride: int, ld: int, g: Geometry, n0: int, images: int,
    p0: int, lines: int, most: int, m: int, height: int, scale: Array, start: Array, slope: float,
    results: Array, y: Array,
) -> None:  # fmt: skip
    """y[n, m + i; pixel] = act(scale[m + i] * (A' p A)[pixel] + start[m + i]) for i < height, lines of tiles.

    p[ξ] = products[ξ * place_stride + tile * ld + i]. At most `most` lines at a time are transposed, in
    `results`. Tiles may reach beyond y's lines and columns.
    """
    width, lanes = (g.Q + 1) // 2, vector_lanes(products)
    for n in range(images):
        for p in range(0, lines, most):
            some = min(most, lines - p)
            for line in range(some):
                at, to = (n * lines + p + line) * width * ld, 4 * line * width * ld
                for i in range(0, height, lanes):
                    transform_results(
                        table, number, width, products, at + i, ld, place_stride, scale, m + i, start, m + i,
                        height - i, slope, results, to + i, ld, 2 * width * ld,
                    )  # fmt: skip
            to = ((n0 + n) * g.M + m) * g.P * g.Q + 2 * (p0 + p) * g.Q
            there = min(2 * some, g.P - 2 * (p0 + p))
            at_once = there if 2 * width == g.Q else 1
            for line in range(0, there, at_once):
                first, count = line * 2 * width * ld, at_once * g.Q
                store_transposed(results, first, ld, count, height, y, to + line * g.Q, g.P * g.Q)
