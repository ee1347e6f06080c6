"""The gradient of a convolution with respect to its weights by two algorithms; `winograd` has a third one.

dw[m, k] += sum over the columns j = (n, p, q) of dy[m; j] col[k; j], with col as in `convolution.geometry`.

`_with_pick_tiles` transposes a chunk of dy, so that its channels m fill vectors, and picks the numbers of col
from the (staged) image where they stand: nothing is gathered, and no lanes need adding up. `_with_dot_tiles`
is used if the channels would leave vectors half empty: both factors run along the columns j, so they are
multiplied lane by lane; lines of whole half vectors are read where they stand, others are put side by side.

Both walk the columns in chunks: some images, or some lines of one image. A task is a block of dw, or, if dw
is small, one of a fixed number of parts of the images. Chunks and parts do not depend on the number of
threads, so the result does not either.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.convolution.geometry import (
    Geometry,
    gather,
    geometry_of,
    list_columns,
    stage,
    staged_lines,
    taps,
)
from pycaffe_lite.kernels.convolution.weight_sums import (
    MOST_TRANSPOSED,
    PARTS,
    add_parts,
    add_sums,
    adding_workspace,
    transpose_dy,
    transposed_panel,
    transposed_size,
)
from pycaffe_lite.kernels.convolution.winograd import weight_gradient as winograd_weights
from pycaffe_lite.kernels.products.blocks import (
    SUM_DEPTH,
    dot_block,
    row_length,
    transpose_panel,
    whole_vectors,
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
from pycaffe_lite.kernels.simd.sums import FOLDED, fold, worker_totals
from pycaffe_lite.kernels.simd.tiles import (
    DOT_COLUMNS,
    max_pick_rows,
    panel_width,
    pick_tile,
    tile_count,
    tile_table,
)
from pycaffe_lite.kernels.simd.vectors import keep_small, vector_lanes

DOT_CHUNK = 1280  # columns per chunk: a dot tile's 5 rows, 25 KB, stay in the L1 cache
DOT_HEIGHT = 64  # rows of dw per task: a chunk of dy, 320 KB, stays in the L2 cache
DOT_WIDTH = 128  # columns of dw per task: as much of col
PICK_CHUNK = 170  # columns per chunk: two vectors of each, 22 KB, stay in the L1 cache
PICK_BLOCK = 98304  # numbers of dw per task: 384 KB, in the L2 cache
FEW_WEIGHTS = 49152  # up to which the images are cut into parts


class WeightGradientBlocking(NamedTuple):
    """How dw and the sum are cut."""

    height: int  # rows of dw per task
    width: int  # columns of dw (k) per task
    images: int  # per chunk
    lines: int  # per chunk and image; all of them if images > 1
    channels: int  # staged for one task, at most
    rows: int  # staged lines per image and channel
    direct: int  # 1: dot tiles read lines where they stand
    parts: int  # of the chunks, each with its own sum
    transposed: int  # 1: dy is transposed beforehand; 0: each task transposes its own chunks
    totals: int  # per worker, in float64; 0 where there are few pieces
    tasks: int


blocking_of = reader_of(WeightGradientBlocking)


class WeightGradientPlan(NamedTuple):
    """The blocking, and the tables that go with it."""

    cut: WeightGradientBlocking
    dots: bool  # by dot tiles
    sizes: Array  # Geometry
    blocks: Array  # WeightGradientBlocking
    panels: int  # numbers of all panels of dy, 0 if they are not made beforehand
    taps: Array  # of `channels` channels and a few more, which a tile may read
    rows_of_piece: Array  # where the k-th gathered row starts
    sums: int  # numbers of all parts' sums, 0 for one part of dot tiles
    workspace: int  # numbers per worker


def _chunk(g: Geometry, columns: int) -> tuple[int, int]:
    """Images and lines per chunk of about so many columns."""
    plane = g.P * g.Q
    if plane <= columns:
        return min(g.N, columns // plane), g.P
    return 1, max(1, min(g.P, columns // g.Q))


@lru_cache(maxsize=1024)
def plan(g: Geometry, threads: int, lanes: int) -> WeightGradientPlan:
    """Cut the gradient; chunks and parts depend on the sizes alone, blocks also on the number of threads."""
    rows, K = g.M // g.group, g.C // g.group * g.kernel_h * g.kernel_w
    filled = -(-rows // lanes) * lanes
    if filled <= 1.1 * rows and K >= 32:
        return _plan_pick(g, threads, lanes, filled, K)
    return _plan_dot(g, threads, lanes, rows, K)


def _plan_pick(g: Geometry, threads: int, lanes: int, filled: int, K: int) -> WeightGradientPlan:
    """Blocking for pick tiles; `filled` rows of dw are whole vectors."""
    area = g.kernel_h * g.kernel_w
    images, lines = _chunk(g, PICK_CHUNK)
    chunks = -(-g.N // images) * -(-g.P // lines)
    parts = min(PARTS, chunks) if g.group * K * filled <= FEW_WEIGHTS else 1
    width = min(K, PICK_BLOCK // filled)
    if g.group * parts * -(-K // width) < 2 * threads:
        width = -(-K // -(-2 * threads // (g.group * parts)))
    width = -(-K // -(-K // width))
    tasks = g.group * parts * -(-K // width)
    channels = min(g.C // g.group, (width + area - 2) // area + 1)
    staged, rows = staged_lines(g, lines), g.M // g.group
    columns = images * lines * g.Q
    workspace = max((columns + lanes) * filled, adding_workspace(rows))
    if not g.bare:
        workspace += images * channels * staged * g.line + 2 * lanes
    pieces = -(-chunks // parts) * -(-columns // SUM_DEPTH)
    totals = width * filled if pieces > FOLDED else 0
    channel_stride = g.H * g.W if g.bare else staged * g.line
    # If several tasks read the same chunk, it is transposed once for all of them.
    panels = transposed_size(g, lanes)
    if width == K or panels > MOST_TRANSPOSED:
        panels = 0
    cut = WeightGradientBlocking(
        filled, width, images, lines, channels, staged, 0, parts, int(panels > 0), totals, tasks
    )
    return WeightGradientPlan(
        cut,
        False,
        np.array(g),
        np.array(cut),
        panels,
        taps(g, channels, channel_stride),
        np.zeros(1, np.int64),
        parts * g.group * K * filled,
        workspace,
    )


def _plan_dot(g: Geometry, threads: int, lanes: int, rows: int, K: int) -> WeightGradientPlan:
    """Blocking for dot tiles."""
    area = g.kernel_h * g.kernel_w
    images, lines = _chunk(g, DOT_CHUNK)
    direct = g.Q % lanes == 0
    if g.Q % lanes == lanes // 2 and g.P % 2 == 0:
        # half vectors are read in pairs, so chunks have an even number of lines
        direct, lines = True, max(2, lines // 2 * 2)
    height = -(-rows // -(-rows // DOT_HEIGHT))
    width = min(K, DOT_WIDTH * (4 if direct else 1))
    # A task reads all of dy for its columns of dw, so it takes all columns if possible.
    chunks = -(-g.N // images) * -(-g.P // lines)
    parts = min(PARTS, chunks) if g.M * K <= FEW_WEIGHTS else 1
    blocks = g.group * parts * -(-rows // height)
    if blocks * -(-K // width) < 2 * threads:
        width = -(-K // (-(-2 * threads // blocks) * DOT_COLUMNS)) * DOT_COLUMNS
    tasks = blocks * -(-K // width)
    channels = min(g.C // g.group, (width + area - 2) // area + 1)
    staged = staged_lines(g, lines)
    columns = images * lines * g.Q
    ld = (columns + 2 * lanes - 1) // (2 * lanes) * 2 * lanes + lanes
    workspace = 1
    if not g.bare:
        workspace += images * channels * staged * g.line + 2 * lanes
    if not direct:
        workspace += (height + width) * ld + 2 * lanes
    pieces = -(-chunks // parts) * (1 + columns // (SUM_DEPTH * lanes))
    totals = height * width if pieces > FOLDED else 0
    channel_stride = g.H * g.W if g.bare else staged * g.line
    cut = WeightGradientBlocking(
        height, width, images, lines, channels, staged, int(direct), parts, 0, totals, tasks
    )
    return WeightGradientPlan(
        cut,
        True,
        np.array(g),
        np.array(cut),
        0,
        taps(g, channels + DOT_COLUMNS, channel_stride),
        np.arange(max(height, width) + DOT_COLUMNS) * ld,
        parts * g.M * K if parts > 1 else 0,
        workspace,
    )


def accumulate(x: Array, dy: Array, dw: Array, g: Geometry, add: bool) -> None:
    """Add the gradient to dw, or overwrite it; arrays and sizes as for `convolution.backward_weights`."""
    threads, lanes = get_num_threads(), target().lanes(dw.itemsize)
    if winograd_weights.suits(g, lanes):
        winograd_weights.accumulate_by_winograd(x, dy, dw, g, add)
        return
    cut, dots, sizes, blocks, panels, taps, rows_of_piece, sums, workspace = plan(g, threads, lanes)
    memory = worker_memory(dw.dtype, min(threads, cut.tasks), workspace)
    x, dy, dw, tiles = x.reshape(-1), dy.reshape(-1), dw.reshape(-1), tile_table(x.dtype)
    totals = worker_totals(len(memory), cut.totals) if cut.totals > 0 else None
    all_sums, all_panels = scratch("sums", dw.dtype, sums), scratch("packed", dw.dtype, panels)
    if dots:
        into = all_sums if sums > 0 else dw
        adds = add and sums == 0
        add_up = _with_dot_tiles if totals is None else _long_with_dot_tiles
        add_up(memory, tiles, x, dy, into, adds, sizes, blocks, taps, rows_of_piece, totals)
        if sums > 0:
            add_parts(memory, all_sums, dw, cut.parts, add)
        return
    if panels > 0:
        transpose_dy(memory, dy, all_panels, sizes, cut.height)
    add_up = _with_pick_tiles if totals is None else _long_with_pick_tiles
    add_up(memory, tiles, x, dy, all_panels, all_sums, sizes, blocks, taps, totals)
    add_sums(memory, all_sums, dw, sizes, cut.height, cut.parts, add)


def _do_with_pick_tiles(
    tiles: Array, x: Array, dy: Array, panels: Array, sums: Array, sizes: Array, blocks: Array, taps: Array,
    totals: Array | None, tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """sums[part, group, k, m] = sum over the columns j of a part of dy[m; j] col[k; j], chunk by chunk.

    Sums in the arrays' type, those of FOLDED pieces in float64. A task is a block of k of one group and part.
    """
    g, cut = geometry_of(sizes), blocking_of(blocks)
    area, channels, rows, plane = g.kernel_h * g.kernel_w, g.C // g.group, g.M // g.group, g.P * g.Q
    K, lanes = channels * area, vector_lanes(x)
    k_blocks = (K + cut.width - 1) // cut.width
    image_chunks, line_chunks = (g.N + cut.images - 1) // cut.images, (g.P + cut.lines - 1) // cut.lines
    chunks, b_line = image_chunks * line_chunks, g.stride_h * g.line
    staged = whole_vectors(cut.images * cut.channels * cut.rows * g.line, x)
    transposed = memory if g.bare else memory[staged:]
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
        added, folded = 0, False
        for chunk in range(begin, end):
            n0, p0 = chunk // line_chunks * cut.images, chunk % line_chunks * cut.lines
            images, lines = min(cut.images, g.N - n0), min(cut.lines, g.P - p0)
            if g.bare:
                b, bo, b_image = x, (n0 * g.C + first_c) * g.H * g.W + p0 * b_line, g.C * g.H * g.W
            else:
                stage(x, g, n0, n0 + images, first_c, first_c + c1 - c0, p0 * g.stride_h, cut.rows, memory)
                b, bo, b_image = memory, 0, (c1 - c0) * cut.rows * g.line
            columns = list_columns(images, lines, g.Q, 1, b_image, b_line, places)
            for j in range(0, columns, SUM_DEPTH):  # more than one piece is a part of one long line
                count = min(SUM_DEPTH, columns - j)
                m = 0
                while m < cut.height:
                    line = panel_width(cut.height - m, lanes)
                    vectors, many = line // lanes, min(line, rows - m)
                    if cut.transposed != 0:
                        factor, first = panels, transposed_panel(g, cut.height, group, m, lanes)
                        first += (n0 * plane + p0 * g.Q + j) * line
                    else:
                        factor, first = transposed, 0
                        of_image = count // images
                        for n in range(images):
                            at = ((n0 + n) * g.M + group * rows + m) * plane + p0 * g.Q + j
                            transpose_panel(
                                dy, at, plane, many, of_image, line, transposed, n * of_image * line
                            )
                    tall = tile_count(width, max_pick_rows(vectors))
                    for t in range(tall):
                        k, last = t * width // tall, (t + 1) * width // tall
                        pick_tile(
                            tiles, last - k, vectors, count, b, bo, taps, first_tap + k, places, j, factor,
                            first, line, sums, to + k * cut.height + m, cut.height, added > 0, 0, 0, 0,
                        )  # fmt: skip
                    m += line
                added += 1
                ends = chunk + 1 == end and j + count == columns
                if totals is not None and (added == FOLDED or ends):
                    fold(sums, to, cut.height, width, cut.height, totals[tasks.worker], not folded, ends)
                    added, folded = 0, True
        task = take_task(tasks, cut.tasks)


def _do_with_dot_tiles(
    tiles: Array, x: Array, dy: Array, dw: Array, add: bool, sizes: Array, blocks: Array, taps: Array,
    rows_of_piece: Array, totals: Array | None, tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """Add the gradient to dw, or overwrite it, block by block, chunk by chunk.

    Sums in the arrays' type, those of FOLDED pieces in float64. Cut into parts, dw is (parts, ..) and gets
    the gradient of each part of the chunks.
    """
    keep_small()
    g, cut = geometry_of(sizes), blocking_of(blocks)
    area, channels, rows, plane = g.kernel_h * g.kernel_w, g.C // g.group, g.M // g.group, g.P * g.Q
    K, lanes = channels * area, vector_lanes(x)
    row_blocks, k_blocks = (rows + cut.height - 1) // cut.height, (K + cut.width - 1) // cut.width
    image_chunks, line_chunks = (g.N + cut.images - 1) // cut.images, (g.P + cut.lines - 1) // cut.lines
    chunks, halves = image_chunks * line_chunks, cut.direct != 0 and g.Q % lanes != 0
    run = lanes // 2 if halves else lanes
    ld = row_length(cut.images * cut.lines * g.Q, x)
    # memory after the staged lines, if there are any, holds gathered ones
    staged = whole_vectors(cut.images * cut.channels * cut.rows * g.line, x)
    gradient = memory if g.bare else memory[staged:]
    piece = gradient[0 if cut.direct else cut.height * ld :]
    a_steps = np.empty(cut.images * cut.lines * (g.Q // run + 1), np.int64)
    b_steps = np.empty(a_steps.size, np.int64)
    gathered_steps, planes = np.arange(0, ld, lanes), np.arange(cut.height) * plane
    b_line = g.stride_h * g.line
    task = take_task(tasks, cut.tasks)
    while task < cut.tasks:
        k0, rest = task % k_blocks * cut.width, task // k_blocks
        i0, rest = rest % row_blocks * cut.height, rest // row_blocks
        group, part = rest % g.group, rest // g.group
        height, width = min(cut.height, rows - i0), min(cut.width, K - k0)
        c0, c1 = k0 // area, (k0 + width - 1) // area + 1
        first_tap, first_c = k0 - c0 * area, group * channels + c0
        to = (part * g.M + group * rows + i0) * K + k0
        begin, end = part * chunks // cut.parts, (part + 1) * chunks // cut.parts
        added, folded = int(add), False
        for chunk in range(begin, end):
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
                factor, lda, columns_at, at, rest = dy, plane, taps, first_tap, 0
                a_vectors, steps = a_steps, b_steps
            else:
                columns = images * lines * g.Q
                gather(dy, ao, planes, 0, height, images, 1, lines * g.Q, g.M * plane, 0, gradient, ld)
                last = first_tap + width
                gather(b, bo, taps, first_tap, last, images, lines, g.Q, b_image, b_line, piece, ld)
                factor, lda, columns_at, at = gradient, ld, rows_of_piece, 0
                a_vectors, steps = gathered_steps, gathered_steps
                ao, b, bo, count, rest = 0, piece, 0, columns // lanes, columns % lanes
            dot_block(
                tiles, factor, ao, lda, a_vectors, height, b, bo, columns_at, at, steps, width, halves, count,
                rest, dw, to, K, added > 0, True, 0,
            )  # fmt: skip
            added, ends = added + 1 + count // SUM_DEPTH, chunk + 1 == end
            if totals is not None and (added >= FOLDED or ends):
                fold(dw, to, K, height, width, totals[tasks.worker], not folded, ends)
                added, folded = 0, True
        task = take_task(tasks, cut.tasks)


# Without totals, and with.
_with_pick_tiles, _long_with_pick_tiles = (
    worker_kernel(_do_with_pick_tiles),
    worker_kernel(_do_with_pick_tiles),
)
_with_dot_tiles, _long_with_dot_tiles = worker_kernel(_do_with_dot_tiles), worker_kernel(_do_with_dot_tiles)
