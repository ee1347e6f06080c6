"""The gradient of a convolution with respect to its weights by Winograd's algorithms.

A tile of 2x2 numbers of dy and the 4x4 or 6x6 pixels that they were computed from are transformed to 16 or 36
numbers each (`convolution.winograd.transforms`), which are multiplied place by place and summed up over all
tiles: for each place ξ a matrix product S[ξ, c, m] = sum over tiles of V[ξ, c, tile] D[ξ, tile, m]. Finally
the 16 or 36 sums of each kernel are transformed to its 9 or 25 gradients: 16 products instead of 36, 36
instead of 100. For 3x3 kernels rounding errors are as large as those of adding up products; for 5x5 kernels
they are about ten times as large, 3e-6 of the largest gradient.

A task is a block of input and a block of output channels of a group, for one of a fixed number of parts of
the images. It takes the tiles chunk by chunk, in an order that does not depend on the number of threads, so
the result does not depend on it either.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.convolution.geometry import Geometry, geometry_of, list_columns
from pycaffe_lite.kernels.convolution.phases import join_kernels, without_stride
from pycaffe_lite.kernels.convolution.weight_sums import (
    MOST_TRANSPOSED,
    PARTS,
    add_sums,
    adding_workspace,
    transpose_dy,
    transposed_panel,
    transposed_size,
)
from pycaffe_lite.kernels.convolution.weights import weights_in_order
from pycaffe_lite.kernels.convolution.winograd.forward import (
    APART,
    LEAST_CHANNELS,
    LEAST_GAIN,
    cut_evenly,
    cut_tiles,
    gain,
    list_runs,
    places_of,
    staged,
    tiles_of,
    transform_channels,
)
from pycaffe_lite.kernels.convolution.winograd.transforms import (
    DY_OF_CHANNELS,
    SUMS,
    transform_dy_of_channels,
    transform_numbers,
    transform_sums,
    transform_table,
)
from pycaffe_lite.kernels.products.blocks import transpose_panel
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
from pycaffe_lite.kernels.simd.sums import FOLDED, fold, worker_totals
from pycaffe_lite.kernels.simd.tiles import (
    WIDE_PICK,
    max_pick_rows,
    panel_width,
    pick_tile,
    tile_count,
    tile_table,
)
from pycaffe_lite.kernels.simd.vectors import keep_small, vector_lanes

MOST_TILES = 4096  # in a line, which is the least that a task takes at a time and sums in float32
LEAST_TILES = 96  # in all images: below it, transforming the sums costs as much as the products save
CHUNK = 128  # tiles at a time, and in one sum: the transform of the sums makes roundings larger
MOST_SUMS = 196608  # numbers that a task sums up: 768 KB, in the L2 cache
FEW_SUMS = 98304  # up to which the images are cut into parts
# Transformed pixels of a chunk, 512 KB; there are more only if output channels are not cut into blocks.
MOST_PIXELS = 131072


class WinogradWeightBlocking(NamedTuple):
    """How the sums are cut."""

    filled: int  # output channels of a group, filled up to whole vectors
    width: int  # input channels per task
    height: int  # output channels per task; the last one has all that are left
    blocks: int  # of output channels in a group
    parts: int  # of the images, each with its own sums
    transposed: int  # 1: dy is transposed beforehand; 0: the task transposes its own chunks
    totals: int  # per worker, in float64; 0 where there are few pieces
    gradients: int  # the numbers of the transforms of dy
    sums: int  # and of sums
    tasks: int


blocking_of = reader_of(WinogradWeightBlocking)


class WinogradWeightPlan(NamedTuple):
    """The blocking, and what goes with it."""

    cut: WinogradWeightBlocking
    image: Array  # Geometry, with the lines as they are staged
    sizes: Array  # Geometry without its stride, see `convolution.phases`
    tiles: Array  # Tiles
    blocks: Array  # WinogradWeightBlocking
    panels: int  # numbers of all panels of dy, 0 if they are not made beforehand
    sums: int  # numbers of all parts' gradients
    workspace: int  # numbers per worker


def suits(g: Geometry, lanes: int) -> bool:
    """Whether an algorithm applies and pays."""
    tiles = g.N * ((g.P + 1) // 2) * ((g.Q + 1) // 2)
    large = g.C // g.group * g.stride_h * g.stride_w >= LEAST_CHANNELS and tiles >= LEAST_TILES
    large = large and (g.Q + 1) // 2 <= MOST_TILES
    return (
        gain(g, g.M // g.group, lanes) >= LEAST_GAIN
        and large
        and transposed_size(g, lanes) <= MOST_TRANSPOSED
    )


@lru_cache(maxsize=1024)
def plan(g: Geometry, threads: int, lanes: int) -> WinogradWeightPlan:
    """Cut the gradient; chunks and parts depend on the sizes alone, blocks also on the number of threads."""
    image, g = g, without_stride(g)
    rows, channels, places = g.M // g.group, g.C // g.group, places_of(g)
    filled = -(-rows // lanes) * lanes
    parts = min(PARTS, g.N) if places * g.group * channels * filled <= FEW_SUMS else 1
    tiles = cut_tiles(g._replace(N=-(-g.N // parts)), CHUNK, lanes, image.stride_h)
    blocks = max(-(-places * channels * filled // MOST_SUMS), -(-2 * threads // (g.group * parts)))
    phases = channels // (image.C // g.group)  # of a channel of the image: a task has all of them
    width, height, across = _shape_of_task(channels, phases, filled, blocks, places * tiles.length, lanes)
    panel, count = WIDE_PICK * lanes, tiles.images * tiles.lines * ((g.Q + 1) // 2)
    transposed = width < channels  # otherwise no other task needs the same chunks of dy
    workspace = tiles.room + places * (width * tiles.length + APART)
    workspace += places * (count * panel + APART) + places * (width * (height + lanes) + APART)
    chunks = -(-g.N // (parts * tiles.images)) * -(-((g.P + 1) // 2) // tiles.lines)
    pieces = chunks * -(-count // CHUNK)
    totals = places * width * (height + lanes) if pieces > FOLDED else 0
    if not transposed:
        workspace += (2 * tiles.lines * g.Q + lanes) * panel
    numbers = transform_numbers(g.kernel_h, DY_OF_CHANNELS, SUMS)
    tasks = g.group * parts * -(-channels // width) * across
    cut = WinogradWeightBlocking(
        filled, width, height, across, parts, int(transposed), totals, *numbers, tasks
    )
    return WinogradWeightPlan(
        cut,
        np.array(staged(image, tiles)),
        np.array(g),
        np.array(tiles),
        np.array(cut),
        transposed_size(g, lanes) if transposed else 0,
        parts * g.group * channels * g.kernel_h * g.kernel_w * filled,
        max(workspace, adding_workspace(rows)),
    )


def _shape_of_task(
    channels: int, phases: int, filled: int, blocks: int, pixels: int, lanes: int
) -> tuple[int, int, int]:
    """Input and output channels of a task, and blocks of output channels; at least `blocks` blocks in all.

    phases: channels that one of the image stands for, all of them in one task. Each block of output channels
    transforms all pixels again, each block of input channels all of dy: there should be few of either.
    pixels: numbers of a channel's transformed pixels.
    """
    whole, best, least = channels // phases, (channels, filled, 1), 0
    for parts in range(1, filled // lanes + 1):
        height, across = cut_evenly(filled, parts, lanes)
        width = -(-whole // min(whole, -(-blocks // across))) * phases
        work = across * channels + -(-channels // width) * filled
        if parts == 1 or (work < least and width * pixels <= MOST_PIXELS):
            best, least = (width, height, across), work
    return best


def accumulate_by_winograd(x: Array, dy: Array, dw: Array, g: Geometry, add: bool) -> None:
    """Compute `convolution.weight_gradient.accumulate`."""
    threads = get_num_threads()
    cut, image, sizes, tiles, blocks, of_panels, of_sums, workspace = plan(
        g, threads, target().lanes(dw.itemsize)
    )
    memory = worker_memory(dw.dtype, min(threads, cut.tasks), workspace)
    panels, sums = scratch("packed", dw.dtype, of_panels), scratch("sums", dw.dtype, of_sums)
    dy = dy.reshape(-1)
    if cut.transposed:
        transpose_dy(memory, dy, panels, sizes, cut.filled)
    exact = worker_totals(len(memory), cut.totals) if cut.totals > 0 else None
    sum_up = _sum_up if exact is None else _long_sum_up
    sum_up(
        memory, tile_table(x.dtype), transform_table(x.dtype), x.reshape(-1), dy, panels, sums, image, sizes,
        tiles, blocks, exact,
    )  # fmt: skip
    if g.stride_h == 1:
        add_sums(memory, sums, dw.reshape(-1), sizes, cut.filled, cut.parts, add)
    else:
        kernels = scratch("kernels", dw.dtype, g.M * weights_in_order(without_stride(g)).row_stride)
        add_sums(memory, sums, kernels, sizes, cut.filled, cut.parts, False)
        join_kernels(memory, kernels, dw.reshape(-1), image, add)


def _do_sum_up(
    micro: Array, table: Array, x: Array, dy: Array, panels: Array, sums: Array, of_image: Array,
    sizes: Array, of_tiles: Array, blocks: Array, exact: Array | None, tasks: Tasks,
    memory: Array,
) -> None:  # fmt: skip
    """sums[part, group, k, m] = the part's gradient of the weight k of output channel m."""
    keep_small()
    image, g, tiles, cut = geometry_of(of_image), geometry_of(sizes), tiles_of(of_tiles), blocking_of(blocks)
    channels, area, lanes = g.C // g.group, g.kernel_h * g.kernel_w, vector_lanes(x)
    rows, plane = g.M // g.group, g.P * g.Q
    P, Q, places = (g.P + 1) // 2, (g.Q + 1) // 2, (g.kernel_h + 1) * (g.kernel_w + 1)
    c_blocks, tallest = (channels + cut.width - 1) // cut.width, min(cut.height + lanes, cut.filled)
    line_chunks = (P + tiles.lines - 1) // tiles.lines
    largest, ld = tiles.images * tiles.lines * Q, tiles.length
    # From one place to the next:
    of_pixels, of_dy, of_sums = (
        cut.width * ld + APART,
        largest * WIDE_PICK * lanes + APART,
        cut.width * tallest + APART,
    )
    lines_of_chunk, pixels = memory, memory[tiles.room :]
    gradients = pixels[places * of_pixels :]
    totals = gradients[places * of_dy :]
    transposed = totals[places * of_sums :]
    starts, tile_numbers = np.empty(ld // tiles.run, np.int64), np.empty(largest, np.int64)
    channel_numbers = np.arange(cut.width) * ld
    task = take_task(tasks, cut.tasks)
    while task < cut.tasks:
        c0, rest = task % c_blocks * cut.width, task // c_blocks
        block, rest = rest % cut.blocks, rest // cut.blocks
        group, part = rest % g.group, rest // g.group
        m0, width = block * cut.height, min(cut.width, channels - c0)
        height = cut.height if block + 1 < cut.blocks else cut.filled - m0
        begin, end = part * g.N // cut.parts, (part + 1) * g.N // cut.parts
        added, folded = 0, False
        chunks = (end - begin + tiles.images - 1) // tiles.images * line_chunks
        for chunk in range(chunks):
            n0, p0 = begin + chunk // line_chunks * tiles.images, chunk % line_chunks * tiles.lines
            images, lines = min(tiles.images, end - n0), min(tiles.lines, P - p0)
            line = image.stride_h * image.line
            vectors = list_runs(images, lines, tiles, tiles.rows * line, line, lanes, starts)
            transform_channels(
                table, x, image, tiles, n0, images, group * channels + c0, width, p0, starts, vectors,
                lines_of_chunk, pixels, ld, lanes, of_pixels,
            )  # fmt: skip
            count = list_columns(images, lines, Q, 1, lines * tiles.width, tiles.width, tile_numbers)
            m = m0
            while m < m0 + height:
                wide = panel_width(m0 + height - m, lanes)
                vectors = wide // lanes
                tall = tile_count(width, max_pick_rows(vectors))
                for n in range(n0, n0 + images):
                    if cut.transposed != 0:
                        factor, at = panels, transposed_panel(g, cut.filled, group, m, lanes)
                        at += (n * g.P + 2 * p0) * g.Q * wide
                    else:
                        factor, at = transposed, 0
                        transpose_panel(
                            dy, (n * g.M + group * rows + m) * plane + 2 * p0 * g.Q, plane,
                            min(wide, rows - m), min(2 * lines, g.P - 2 * p0) * g.Q, wide, transposed, 0,
                        )  # fmt: skip
                    for p in range(lines):
                        transform_line(
                            table, cut.gradients, factor, at + 2 * p * g.Q * wide, g.Q,
                            2 * (p0 + p) + 1 < g.P, wide, gradients, ((n - n0) * lines + p) * Q * wide, of_dy,
                        )  # fmt: skip
                for place in range(places):
                    for t in range(tall):
                        c, last = t * width // tall, (t + 1) * width // tall
                        for j in range(0, count, CHUNK):
                            pick_tile(
                                micro, last - c, vectors, min(CHUNK, count - j),
                                pixels, place * of_pixels, channel_numbers, c, tile_numbers, j,
                                gradients, place * of_dy + j * wide, wide,
                                totals, place * of_sums + c * height + m - m0, height, added + j > 0, 0, 0, 0,
                            )  # fmt: skip
                m += wide
            added, ends = added + (count + CHUNK - 1) // CHUNK, chunk + 1 == chunks
            if exact is not None and (added >= FOLDED or ends):
                fold(totals, 0, of_sums, places, width * height, exact[tasks.worker], not folded, ends)
                added, folded = 0, True
        to = ((part * g.group + group) * channels + c0) * area * cut.filled + m0
        for c in range(width):
            transform_sums(
                table, cut.sums, height // lanes, totals, c * height, of_sums,
                sums, to + c * area * cut.filled, cut.filled,
            )  # fmt: skip
        task = take_task(tasks, cut.tasks)


_sum_up, _long_sum_up = worker_kernel(_do_sum_up), worker_kernel(_do_sum_up)  # without exact totals, and with


@kernel
def transform_line(
    table: Array, number: int, dy: Array, at: int, Q: int, below: bool, wide: int, out: Array, to: int,
    place_stride: int,
) -> None:  # fmt: skip
    """out[to + ξ * place_stride + tile * wide + i] = (A g A')[ξ] for a line of tiles, i < wide channels.

    g: two lines of Q numbers of each channel, the channels side by side, from dy[at] on; the second one is 0
    unless `below`.
    """
    whole, line = Q // 2, Q * wide
    for v in range(0, wide, vector_lanes(dy)):
        if whole > 0:
            transform_dy_of_channels(
                table, number, whole, dy, at + v, line, wide, below, True, out, to + v, wide, place_stride,
            )  # fmt: skip
        if whole * 2 < Q:
            transform_dy_of_channels(
                table, number, 1, dy, at + 2 * whole * wide + v, line, wide, below, False,
                out, to + whole * wide + v, wide, place_stride,
            )  # fmt: skip
