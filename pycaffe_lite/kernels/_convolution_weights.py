"""The gradient of a convolution with respect to its weights, two ways.

dw[m, k] += sum over the columns j = (n, p, q) of dy[m; j] col[k; j], with col as in `_image`.

`_with_pick_tiles` transposes a chunk of dy, so that its channels m fill vectors, and picks the numbers of col
from the (staged) image where they stand: nothing is gathered, and no lanes need adding up. `_with_dot_tiles`
serves when the channels would leave vectors half empty: both factors run along the columns j, so they are
multiplied lane by lane; lines of whole half vectors are read where they stand, others are put side by side.

Both walk the columns in chunks: some images, or some lines of one image. A task is a block of dw, or, if dw
is small, one of a fixed number of parts of the images. Neither depends on the number of threads, and so the
result does not either.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba.np.unsafe.ndarray import to_fixed_tuple

from pycaffe_lite.kernels._block import dot_block, row_length, store_transposed, transpose_panel
from pycaffe_lite.kernels._image import Geometry, gather, geometry_of, list_columns, stage, staged_lines, taps
from pycaffe_lite.kernels._jit import Array, Tasks, get_num_threads, kernel, take_task, worker_kernel
from pycaffe_lite.kernels._scratch import scratch, worker_memory
from pycaffe_lite.kernels._simd import target, vector_lanes
from pycaffe_lite.kernels._tile import DOT_COLUMNS, max_pick_rows, pick_tile, tile_count, tile_table

DOT_CHUNK = 1280  # columns per chunk: a dot tile's 5 rows, 25 KB, stay in the L1 cache
DOT_HEIGHT = 64  # rows of dw per task: a chunk of dy, 320 KB, stays in the L2 cache
DOT_WIDTH = 128  # columns of dw per task: as much of col
PICK_CHUNK = 340  # columns per chunk: two vectors of each, 43 KB, stay in the L1 cache or near it
PICK_BLOCK = 98304  # numbers of dw per task: 384 KB, in the L2 cache
MOST_TURNED = 1 << 23  # numbers of dy, 32 MB, that are turned round beforehand
ADDED = 32  # columns of dw per task that adds sums to it
PARTS = 8  # of the images, if dw has fewer than PICK_BLOCK / 2 numbers


class Blocks(NamedTuple):
    """How dw and the sum are cut."""

    height: int  # rows of dw per task
    width: int  # columns of dw (k) per task
    images: int  # per chunk
    lines: int  # per chunk and image; all of them if images > 1
    channels: int  # staged for one task, at most
    rows: int  # staged lines per image and channel
    direct: int  # 1: dot tiles read lines where they stand
    parts: int  # of the chunks, each with its own sum
    panel: int  # numbers of one panel of dy, turned round beforehand; 0: each task turns its own chunks
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
    panels: int  # numbers of all panels of dy, 0 if they are not made beforehand
    taps: Array  # of `channels` channels and more, so that a tile may look beyond the last
    rows_of_piece: Array  # where the k-th gathered row starts
    sums: int  # numbers of all parts' sums, 0 for dot tiles
    workspace: int  # numbers per worker


def _chunk(g: Geometry, columns: int) -> tuple[int, int]:
    """Images and lines per chunk of about so many columns."""
    plane = g.P * g.Q
    if plane <= columns:
        return min(g.N, columns // plane), g.P
    return 1, max(1, min(g.P, columns // g.Q))


@lru_cache(maxsize=1024)
def plan(g: Geometry, threads: int, lanes: int) -> Plan:
    """Cut the gradient; chunks and parts depend on the sizes alone, blocks also on the number of threads."""
    rows, K = g.M // g.group, g.C // g.group * g.kernel_h * g.kernel_w
    filled = -(-rows // lanes) * lanes
    if filled <= 1.1 * rows and K >= 32:
        return _plan_pick(g, threads, lanes, filled, K)
    return _plan_dot(g, threads, lanes, rows, K)


def _plan_pick(g: Geometry, threads: int, lanes: int, filled: int, K: int) -> Plan:
    """Blocks for pick tiles; `filled` rows of dw are whole vectors."""
    area = g.kernel_h * g.kernel_w
    images, lines = _chunk(g, PICK_CHUNK)
    chunks = -(-g.N // images) * -(-g.P // lines)
    parts = min(PARTS, chunks) if g.group * K * filled <= PICK_BLOCK // 2 else 1
    width = min(K, PICK_BLOCK // filled)
    if g.group * parts * -(-K // width) < 2 * threads:
        width = -(-K // -(-2 * threads // (g.group * parts)))
    width = -(-K // -(-K // width))
    tasks = g.group * parts * -(-K // width)
    channels = min(g.C // g.group, (width + area - 2) // area + 1)
    staged, rows = staged_lines(g, lines), g.M // g.group
    columns = images * lines * g.Q
    workspace = max((columns + lanes) * filled, 2 * rows * ADDED)
    if not g.bare:
        workspace += images * channels * staged * g.line + 2 * lanes
    channel_stride = g.H * g.W if g.bare else staged * g.line
    # Several tasks that read the same chunk had better find it turned; a vector of room behind each panel.
    panel, per_group = (g.N * g.P * g.Q + lanes) * 2 * lanes, -(-filled // (2 * lanes))
    panels = g.group * per_group * panel
    if width == K or panels > MOST_TURNED:
        panel = panels = 0
    return Plan(
        tasks,
        np.array(g),
        np.array(Blocks(filled, width, images, lines, channels, staged, 0, parts, panel, tasks)),
        panels,
        taps(g, channels, channel_stride),
        np.zeros(1, np.int64),
        parts * g.group * K * filled,
        workspace,
    )


def _plan_dot(g: Geometry, threads: int, lanes: int, rows: int, K: int) -> Plan:
    """Blocks for dot tiles."""
    area = g.kernel_h * g.kernel_w
    images, lines = _chunk(g, DOT_CHUNK)
    direct = g.Q % lanes == 0
    if g.Q % lanes == lanes // 2 and g.P % 2 == 0:
        # half vectors are taken in pairs: an even number of lines at a time
        direct, lines = True, max(2, lines // 2 * 2)
    height = -(-rows // -(-rows // DOT_HEIGHT))
    width = min(K, DOT_WIDTH * (4 if direct else 1))
    tasks = g.group * -(-rows // height) * -(-K // width)
    if tasks < 2 * threads:
        parts = -(-2 * threads // (g.group * -(-rows // height)))
        width = -(-K // (parts * DOT_COLUMNS)) * DOT_COLUMNS
        tasks = g.group * -(-rows // height) * -(-K // width)
    channels = min(g.C // g.group, (width + area - 2) // area + 1)
    staged = staged_lines(g, lines)
    columns = images * lines * g.Q
    ld = (columns + 2 * lanes - 1) // (2 * lanes) * 2 * lanes + lanes
    workspace = 1
    if not g.bare:
        workspace += images * channels * staged * g.line + 2 * lanes
    if not direct:
        workspace += (height + width) * ld + 2 * lanes
    channel_stride = g.H * g.W if g.bare else staged * g.line
    return Plan(
        tasks,
        np.array(g),
        np.array(Blocks(height, width, images, lines, channels, staged, int(direct), 1, 0, tasks)),
        0,
        taps(g, channels + DOT_COLUMNS, channel_stride),
        np.arange(max(height, width) + DOT_COLUMNS) * ld,
        0,
        workspace,
    )


def accumulate(x: Array, dy: Array, dw: Array, g: Geometry) -> None:
    """Add the gradient to dw; arrays and sizes as for `convolution.backward_weights`."""
    threads = get_num_threads()
    cut = plan(g, threads, target().lanes(dw.itemsize))
    memory = worker_memory(dw.dtype, min(threads, cut.tasks), cut.workspace)
    flat = x.reshape(-1), dy.reshape(-1)
    if cut.sums == 0:
        _with_dot_tiles(
            memory, tile_table(x.dtype), *flat, dw.reshape(-1), cut.sizes, cut.blocks, cut.taps,
            cut.rows_of_piece,
        )  # fmt: skip
    else:
        sums, panels = scratch("sums", dw.dtype, cut.sums), scratch("packed", dw.dtype, cut.panels)
        if cut.panels > 0:
            _turn(memory, flat[1], panels, cut.sizes, cut.blocks)
        _with_pick_tiles(memory, tile_table(x.dtype), *flat, panels, sums, cut.sizes, cut.blocks, cut.taps)
        _add_sums(memory, sums, dw.reshape(-1), cut.sizes, cut.blocks)


@worker_kernel
def _turn(dy: Array, panels: Array, sizes: Array, blocks: Array, tasks: Tasks, _memory: Array) -> None:
    """panels[p * panel + (n * plane + j) * width + i] = dy[n; channel i of the panel; j].

    A task is panel p: two vectors of the channels of a group or, if these end with it, one.
    """
    g, cut = geometry_of(sizes), blocks_of(blocks)
    rows, plane, panel = g.M // g.group, g.P * g.Q, 2 * vector_lanes(dy)
    per_group = (cut.height + panel - 1) // panel
    task_count = g.group * per_group
    task = take_task(tasks, task_count)
    while task < task_count:
        group, m = task // per_group, task % per_group * panel
        width, many = min(panel, cut.height - m), min(panel, rows - m)
        for n in range(g.N):
            at = (n * g.M + group * rows + m) * plane
            transpose_panel(dy, at, plane, many, plane, width, panels, task * cut.panel + n * plane * width)
        task = take_task(tasks, task_count)


@worker_kernel
def _with_pick_tiles(
    tiles: Array, x: Array, dy: Array, panels: Array, sums: Array, sizes: Array, blocks: Array, taps: Array,
    tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """sums[part, group, k, m] = sum over the columns j of a part of dy[m; j] col[k; j], chunk by chunk.

    Sums in the arrays' type. A task is a block of k of one group and part.
    """
    g, cut = geometry_of(sizes), blocks_of(blocks)
    area, channels, rows, plane = g.kernel_h * g.kernel_w, g.C // g.group, g.M // g.group, g.P * g.Q
    K, panel, most = channels * area, 2 * vector_lanes(x), max_pick_rows(2)
    per_group = (cut.height + panel - 1) // panel
    k_blocks = (K + cut.width - 1) // cut.width
    image_chunks, line_chunks = (g.N + cut.images - 1) // cut.images, (g.P + cut.lines - 1) // cut.lines
    chunks, b_line = image_chunks * line_chunks, g.stride_h * g.line
    transposed = memory if g.bare else memory[cut.images * cut.channels * cut.rows * g.line :]
    places = np.empty(cut.images * cut.lines * g.Q, np.int64)
    task = take_task(tasks, cut.tasks)
    while task < cut.tasks:
        part, group, k0 = (
            task // (k_blocks * g.group),
            task // k_blocks % g.group,
            task % k_blocks * cut.width,
        )
        width = min(cut.width, K - k0)
        c0, c1 = k0 // area, (k0 + width - 1) // area + 1
        first_tap, first_c = k0 - c0 * area, group * channels + c0
        to = ((part * g.group + group) * K + k0) * cut.height
        begin, end = part * chunks // cut.parts, (part + 1) * chunks // cut.parts
        for chunk in range(begin, end):
            n0, p0 = chunk // line_chunks * cut.images, chunk % line_chunks * cut.lines
            images, lines = min(cut.images, g.N - n0), min(cut.lines, g.P - p0)
            if g.bare:
                b, bo, b_image = x, (n0 * g.C + first_c) * g.H * g.W + p0 * b_line, g.C * g.H * g.W
            else:
                stage(x, g, n0, n0 + images, first_c, first_c + c1 - c0, p0 * g.stride_h, cut.rows, memory)
                b, bo, b_image = memory, 0, (c1 - c0) * cut.rows * g.line
            count = list_columns(images, lines, g.Q, 1, b_image, b_line, places)
            for m in range(0, cut.height, panel):
                vectors = min(panel, cut.height - m) * 2 // panel
                line, many = vectors * panel // 2, min(panel, rows - m)
                if cut.panel > 0:
                    factor, first = panels, (group * per_group + m // panel) * cut.panel
                    first += (n0 * plane + p0 * g.Q) * line
                else:
                    factor, first = transposed, 0
                    for n in range(images):
                        at = ((n0 + n) * g.M + group * rows + m) * plane + p0 * g.Q
                        transpose_panel(
                            dy, at, plane, many, lines * g.Q, line, transposed, n * lines * g.Q * line
                        )
                tall = tile_count(width, most)
                for t in range(tall):
                    k, last = t * width // tall, (t + 1) * width // tall
                    pick_tile(
                        tiles, last - k, vectors, count, b, bo, taps, first_tap + k, places, 0, factor, first,
                        line, sums, to + k * cut.height + m, cut.height, chunk > begin, 0,
                    )  # fmt: skip
        task = take_task(tasks, cut.tasks)


@worker_kernel
def _add_sums(sums: Array, dw: Array, sizes: Array, blocks: Array, tasks: Tasks, memory: Array) -> None:
    """dw[m, k] += sum over the parts, in ascending order, of sums[part, group of m, k, m].

    A task is ADDED columns k of a group.
    """
    g, cut = geometry_of(sizes), blocks_of(blocks)
    rows, K = g.M // g.group, g.C // g.group * g.kernel_h * g.kernel_w
    k_blocks = (K + ADDED - 1) // ADDED
    total, part = memory[: rows * ADDED], memory[rows * ADDED : 2 * rows * ADDED]
    task_count = g.group * k_blocks
    task = take_task(tasks, task_count)
    while task < task_count:
        group, k0 = task // k_blocks, task % k_blocks * ADDED
        count = min(ADDED, K - k0)
        for number in range(cut.parts):
            at = ((number * g.group + group) * K + k0) * cut.height
            into = total if number == 0 else part
            store_transposed(sums, at, cut.height, count, rows, into, 0, ADDED)
            if number > 0:
                for i in range(total.size):
                    total[i] += part[i]
        for m in range(rows):
            to = (group * rows + m) * K + k0
            row, added = dw[to : to + count], total[m * ADDED : m * ADDED + count]
            for k in range(count):
                row[k] += added[k]
        task = take_task(tasks, task_count)


@worker_kernel
def _with_dot_tiles(
    tiles: Array, x: Array, dy: Array, dw: Array, sizes: Array, blocks: Array, taps: Array,
    rows_of_piece: Array, tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """Add the gradient to dw, block by block, chunk by chunk; sums in the arrays' type."""
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
    task = take_task(tasks, cut.tasks)
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
                count = list_columns(images, 1, lines * g.Q, lanes, g.M * plane, 0, a_steps)
                list_columns(images, lines, g.Q, run, b_image, b_line, b_steps)
                dot_block(
                    tiles, dy, ao, plane, a_steps, height, b, bo, taps, first_tap, b_steps, width, halves,
                    count, 0, dw, to, K, True, True, 0,
                )  # fmt: skip
            else:
                columns = images * lines * g.Q
                gather(dy, ao, planes, 0, height, images, 1, lines * g.Q, g.M * plane, 0, gradient, ld)
                last = first_tap + width
                gather(b, bo, taps, first_tap, last, images, lines, g.Q, b_image, b_line, piece, ld)
                dot_block(
                    tiles, gradient, 0, ld, gathered_steps, height, piece, 0, rows_of_piece, 0,
                    gathered_steps, width, False, columns // lanes, columns % lanes, dw, to, K, True, True, 0,
                )  # fmt: skip
        task = take_task(tasks, cut.tasks)
