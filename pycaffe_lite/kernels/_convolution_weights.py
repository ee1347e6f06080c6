"""The gradient of a convolution with respect to its weights.

dw[m, k] += sum over the columns j = (n, p, q) of dy[m; j] col[k; j], with col as in `_image`.

Both factors run along the columns, so this is a product of dot tiles. A task is a block of dw; it walks the
images (or the lines of an image) in chunks. Lines of whole half vectors are read where they stand, others are
put side by side first. The chunks do not depend on the number of threads, so neither does the result.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba.np.unsafe.ndarray import to_fixed_tuple

from pycaffe_lite.kernels._block import dot_block, row_length
from pycaffe_lite.kernels._image import Geometry, gather, geometry_of, stage, staged_lines, taps
from pycaffe_lite.kernels._jit import Array, get_num_threads, kernel, worker_kernel
from pycaffe_lite.kernels._scratch import worker_memory
from pycaffe_lite.kernels._simd import take_task, target, vector_lanes
from pycaffe_lite.kernels._tile import DOT_COLUMNS, tile_table

CHUNK = 1280  # columns per chunk: a dot tile's 5 rows, 25 KB, stay in the L1 cache
HEIGHT = 64  # rows of dw per task: a chunk of dy, 256 KB, stays in the L2 cache
DEPTH = 320  # columns of dw per task


class Blocks(NamedTuple):
    """How dw and the sum are cut."""

    height: int  # rows of dw per task
    width: int  # columns of dw (k) per task
    images: int  # per chunk
    lines: int  # per chunk and image; all of them if images > 1
    channels: int  # staged for one task, at most
    rows: int  # staged lines per image and channel
    direct: int  # 1: read lines where they stand
    tasks: int


FIELDS = len(Blocks._fields)


@kernel
def blocks_of(sizes: Array) -> Blocks:
    """The blocks that an int64 array holds."""
    return Blocks(*to_fixed_tuple(sizes, FIELDS))


class Plan(NamedTuple):
    """Blocks, and the tables that go with them."""

    tasks: int
    sizes: Array  # Geometry
    blocks: Array  # Blocks
    taps: Array  # of `channels` channels and more, so that a tile may look beyond the last
    rows_of_piece: Array  # where the k-th gathered row starts
    workspace: int  # numbers per worker


@lru_cache(maxsize=1024)
def plan(g: Geometry, threads: int, lanes: int) -> Plan:
    """Cut the gradient; chunks depend on the sizes alone, blocks also on the number of threads."""
    area, plane, rows = g.kernel_h * g.kernel_w, g.P * g.Q, g.M // g.group
    K = g.C // g.group * area
    images = max(1, min(g.N, CHUNK // plane))
    lines = g.P if images > 1 else max(1, min(g.P, CHUNK // g.Q))
    height = -(-rows // -(-rows // HEIGHT))
    width = min(K, DEPTH)
    wanted = 2 * threads
    if g.group * -(-rows // height) * -(-K // width) < wanted:
        parts = -(-wanted // (g.group * -(-rows // height)))
        width = -(-K // (parts * DOT_COLUMNS)) * DOT_COLUMNS
    tasks = g.group * -(-rows // height) * -(-K // width)
    if g.Q % lanes == lanes // 2:
        # half vectors are taken in pairs: an even number of lines at a time
        lines = max(2, lines // 2 * 2)
    direct = g.Q % lanes == 0 or (g.Q % lanes == lanes // 2 and g.P % 2 == 0)
    lines = min(lines, g.P)
    channels = min(g.C // g.group, (width + area - 2) // area + 1)
    staged = staged_lines(g, lines)
    channel_stride = g.H * g.W if g.bare else staged * g.line
    columns = images * lines * g.Q
    ld = (columns + 2 * lanes - 1) // (2 * lanes) * 2 * lanes + lanes
    workspace = 1
    if not g.bare:
        workspace += images * channels * staged * g.line + 2 * lanes
    if not direct:
        workspace += (height + width) * ld + 2 * lanes
    return Plan(
        tasks,
        np.array(g),
        np.array(Blocks(height, width, images, lines, channels, staged, int(direct), tasks)),
        taps(g, channels + DOT_COLUMNS, channel_stride),
        np.arange(max(height, width) + DOT_COLUMNS) * ld,
        workspace,
    )


def accumulate(x: Array, dy: Array, dw: Array, g: Geometry) -> None:
    """Add the gradient to dw; arrays and sizes as for `convolution.backward_weights`."""
    threads = get_num_threads()
    cut = plan(g, threads, target().lanes(dw.itemsize))
    memory = worker_memory(dw.dtype, min(threads, cut.tasks), cut.workspace)
    _accumulate(
        memory, tile_table(x.dtype), x.reshape(-1), dy.reshape(-1), dw.reshape(-1), cut.sizes, cut.blocks,
        cut.taps, cut.rows_of_piece, np.zeros(1, np.int64),
    )  # fmt: skip


@kernel
def list_steps(images: int, lines: int, width: int, run: int, image: int, line: int, out: Array) -> int:
    """List where the runs of `run` columns start, image by image, line by line; returns their number."""
    count = 0
    for n in range(images):
        for p in range(lines):
            for q in range(0, width, run):
                out[count] = n * image + p * line + q
                count += 1
    return count


@worker_kernel
def _accumulate(
    tiles: Array, x: Array, dy: Array, dw: Array, sizes: Array, blocks: Array, taps: Array,
    rows_of_piece: Array, counter: Array, memory: Array,
) -> None:  # fmt: skip
    """Do tasks of `accumulate` until none is left; sums in the arrays' type, chunk by chunk."""
    g, cut = geometry_of(sizes), blocks_of(blocks)
    area, channels, rows, plane = g.kernel_h * g.kernel_w, g.C // g.group, g.M // g.group, g.P * g.Q
    K, lanes = channels * area, vector_lanes(x)
    row_blocks, k_blocks = (rows + cut.height - 1) // cut.height, (K + cut.width - 1) // cut.width
    image_chunks, line_chunks = (g.N + cut.images - 1) // cut.images, (g.P + cut.lines - 1) // cut.lines
    halves = cut.direct != 0 and g.Q % lanes != 0
    run = lanes // 2 if halves else lanes
    ld = row_length(cut.images * cut.lines * g.Q, x)
    # memory after the staged lines, if there are any, holds gathered ones
    gradient = memory if g.bare else memory[cut.images * cut.channels * cut.rows * g.line :]
    piece = gradient[0 if cut.direct else cut.height * ld :]
    a_steps = np.empty(cut.images * cut.lines * (g.Q // run + 1), np.int64)
    b_steps = np.empty(a_steps.size, np.int64)
    gathered_steps, planes = np.arange(0, ld, lanes), np.arange(cut.height) * plane
    b_line = g.stride_h * g.line
    task = take_task(counter)
    while task < cut.tasks:
        group, i0 = task // (row_blocks * k_blocks), task // k_blocks % row_blocks * cut.height
        k0 = task % k_blocks * cut.width
        height, width = min(cut.height, rows - i0), min(cut.width, K - k0)
        c0, c1 = k0 // area, (k0 + width - 1) // area + 1
        first_tap, first_c = k0 - c0 * area, group * channels + c0
        to = (group * rows + i0) * K + k0
        for chunk in range(image_chunks * line_chunks):
            n0, p0 = chunk // line_chunks * cut.images, chunk % line_chunks * cut.lines
            images, lines = min(cut.images, g.N - n0), min(cut.lines, g.P - p0)
            ao = (n0 * g.M + group * rows + i0) * plane + p0 * g.Q
            if g.bare:
                b, bo, b_image = x, (n0 * g.C + first_c) * g.H * g.W + p0 * b_line, g.C * g.H * g.W
            else:
                stage(x, g, n0, n0 + images, first_c, first_c + c1 - c0, p0 * g.stride_h, cut.rows, memory)
                b, bo, b_image = memory, 0, (c1 - c0) * cut.rows * g.line
            if cut.direct:
                # dy's lines follow each other: its vectors may reach over two of them
                count = list_steps(images, 1, lines * g.Q, lanes, g.M * plane, 0, a_steps)
                list_steps(images, lines, g.Q, run, b_image, b_line, b_steps)
                dot_block(
                    tiles, dy, ao, plane, a_steps, height, b, bo, taps, first_tap, b_steps, width, halves,
                    count, 0, dw, to, K, True, True,
                )  # fmt: skip
            else:
                columns = images * lines * g.Q
                gather(dy, ao, planes, 0, height, images, 1, lines * g.Q, g.M * plane, 0, gradient, ld)
                last = first_tap + width
                gather(b, bo, taps, first_tap, last, images, lines, g.Q, b_image, b_line, piece, ld)
                dot_block(
                    tiles, gradient, 0, ld, gathered_steps, height, piece, 0, rows_of_piece, 0,
                    gathered_steps, width, False, columns // lanes, columns % lanes, dw, to, K, True, True,
                )  # fmt: skip
        task = take_task(counter)
