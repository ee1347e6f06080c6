"""Forward convolution for few positions: each weight is read once, from where it stands.

Late in a net, and at batch 1, there are more weights than anything else, and rearranging them would take
longer than multiplying. So the columns are rearranged instead (`convolution.geometry` has the equations),
into panels of three vectors of positions, or two. A tile is eight or ten output channels, picked from the
array of weights, by a panel: the pick tile of `convolution.pixels` with its factors exchanged. If a few
positions are left over after whole vectors (one of 7x7, four of 14x14), each is a panel one wide, for dot
tiles.

All threads together make the panels; then a task is some output channels at all positions. The rows
of panels for one image and a 1x1 kernel stand in the image already.

An inner product of a batch is the extreme case: one position per image, and weights that come from memory.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.convolution.geometry import Geometry, geometry_of, stage, staged_lines, taps
from pycaffe_lite.kernels.convolution.weights import WeightLayout, weights_in_order
from pycaffe_lite.kernels.products.blocks import SUM_DEPTH, dot_block, transpose_panel
from pycaffe_lite.kernels.products.shares import MOST_TASKS
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
from pycaffe_lite.kernels.simd.copies import bring_near, copy_exact, copy_run
from pycaffe_lite.kernels.simd.tiles import (
    DOT_COLUMNS,
    WIDE_PICK,
    max_pick_rows,
    panel_width,
    pick_tile,
    tile_count,
    tile_table,
)
from pycaffe_lite.kernels.simd.vectors import vector_lanes

MOST_POSITIONS = 400  # at once: a piece of their columns, 400 KB, stays in the L2 cache
MOST_COLUMNS = 1 << 22  # numbers of all panels, 16 MB, unless the weights are more
STAGED = 16  # channels staged at a time
SUMS = 32768  # results per task: 128 KB, in the L2 cache
DEPTH = 128  # steps of k per piece: a panel of them, 24 KB, stays in the L1 cache while all rows pass
MOST_IN_PLACE = 256  # steps of k up to which panels are not made, but read from the image
LINES_AHEAD = 16  # vectors of each row of weights that are on their way from memory
STREAMS = 8  # rows at a time then: rows a power of two apart share a set of the L1 cache, which holds 8 to 12


class FewPositionsBlocking(NamedTuple):
    """How the columns and the product are cut."""

    channels: int  # per task that makes panels
    parts: int  # such tasks per group
    rows: int  # staged lines per image and channel
    length: int  # positions in panels, whole vectors
    rest: int  # positions left over
    row: int  # from the sums of one output channel to those of the next
    height: int  # output channels per task
    depth: int  # steps of k per piece
    ahead: int  # how far to look ahead along the rows of weights; 0: to the next tile's rows instead
    direct: int  # 1: panels are read where they stand in the image
    tasks: int


blocking_of = reader_of(FewPositionsBlocking)


class FewPositionsPlan(NamedTuple):
    """The blocking, and the tables that go with it."""

    sizes: Array  # Geometry
    blocks: Array  # FewPositionsBlocking
    taps: Array  # of the staged channels
    pieces: Array  # of the lines of columns, see `_pieces`
    rows_at: Array  # where the rows of weights start
    depth_at: Array  # where the k-th weight of a row is, from its start
    vectors_at: Array  # where each vector of a row's weights is
    rest_at: Array  # where the positions left over start, from the first of them
    columns: int  # numbers of all panels
    workspace: int  # numbers per worker


def most_positions(g: Geometry) -> int:
    """How many positions are few: twice as many if the image is not bare.

    Any other algorithm would stage its lines again for each block of output channels, which costs more than a
    piece of columns that partly leaves the L2 cache.
    """
    return MOST_POSITIONS if g.bare else 2 * MOST_POSITIONS


def suits(g: Geometry, weights: WeightLayout) -> bool:
    """Whether this algorithm is the faster one: there are few positions, and rows of weights are contiguous.

    The columns of a 1x1 kernel are made so quickly that only those of one image need to be few.
    """
    positions = (1 if g.kernel_h == g.kernel_w == 1 else g.N) * g.P * g.Q
    columns = positions * g.C * g.kernel_h * g.kernel_w
    small = columns <= max(MOST_COLUMNS, g.M * g.C // g.group * g.kernel_h * g.kernel_w)
    return positions <= most_positions(g) and small and weights == weights_in_order(g)


@lru_cache(maxsize=1024)
def plan(g: Geometry, weights: WeightLayout, threads: int, lanes: int) -> FewPositionsPlan:
    """Cut the columns into parts and the output channels into tasks, two per thread at least."""
    area, rows, per_group = g.kernel_h * g.kernel_w, g.M // g.group, g.C // g.group
    K, positions = per_group * area, g.N * g.P * g.Q
    length, rest = positions // lanes * lanes, positions % lanes
    if rest > min(DOT_COLUMNS, lanes // 2, g.Q) or length == 0 or g.P * g.Q == 1:
        length, rest = -(-positions // lanes) * lanes, 0
    row = length + (lanes if rest else 0)
    parts = -(-2 * threads // g.group)
    channels = -(-per_group // parts)
    height = max(1, min(SUMS // row, -(-rows // parts)))
    count = g.group * -(-rows // height)
    if count <= MOST_TASKS * threads:  # if tasks are few, each thread gets equally many
        height = -(-rows * g.group // (-(-count // threads) * threads))
    staged = staged_lines(g, g.P)
    channel_stride = g.H * g.W if g.bare else staged * g.line
    workspace = height * row
    # A deeper product gains more by panels, whose rows lie close together, than making them costs.
    in_place = g.bare and g.N == area == 1 and (g.P, g.Q) == (g.H, g.W)
    direct = in_place and length + rest == positions and K <= MOST_IN_PLACE
    if direct:
        workspace += K * rest
    if not g.bare:
        workspace = max(workspace, g.N * min(STAGED, channels) * channel_stride + 2 * lanes)
    # One panel passes along whole rows of weights at once. With more, a piece of their rows is read again
    # from the L2 cache for each.
    depth, ahead = (K, LINES_AHEAD * lanes) if length <= WIDE_PICK * lanes else (DEPTH, 0)
    tasks = g.group * -(-rows // height)
    blocks = FewPositionsBlocking(
        channels, -(-per_group // channels), staged, length, rest, row, height, depth, ahead,
        int(direct), tasks,
    )  # fmt: skip
    return FewPositionsPlan(
        np.array(g),
        np.array(blocks),
        taps(g, STAGED, channel_stride),
        _pieces(g, length, K, lanes),
        weights.at + np.arange(g.M) * K,
        np.arange(K),
        np.arange(0, K + lanes, lanes),
        np.arange(DOT_COLUMNS) * K,
        0 if direct else g.group * K * (length + rest),
        workspace,
    )


def _pieces(g: Geometry, length: int, K: int, lanes: int) -> Array:
    """The lines of columns, cut where panels end: (pieces, 5).

    For each piece: its image, where it starts in a channel of that image, where its row 0 starts in a group's
    panels, its length, and the width of its panel.
    """
    pieces, j, first, width = [], 0, 0, 0
    for n in range(g.N):
        for p in range(g.P):
            q = 0
            while q < g.Q:
                at = p * g.stride_h * g.line + q
                if j < length:
                    if j == first + width:
                        first, width = j, panel_width(length - j, lanes)
                    count = min(g.Q - q, first + width - j)
                    pieces.append((n, at, first * K + j - first, count, width))
                else:
                    count = 1
                    pieces.append((n, at, j * K, 1, 1))
                q, j = q + count, j + count
    return np.array(pieces)


def product_at_few(
    x: Array, a: Array, start: Array, scale: Array, slope: float, y: Array, g: Geometry, weights: WeightLayout
) -> None:
    """Compute `convolution.blocked.product`, without accumulating, for as many images at once as suit."""
    images = most_positions(g) // max(1, g.P * g.Q)
    if images >= g.N:
        _product(x, a, start, scale, slope, y, g, weights)
        return
    for n in range(0, g.N, images):
        part = g._replace(N=min(images, g.N - n))
        _product(x[n : n + part.N], a, start, scale, slope, y[n : n + part.N], part, weights)


def _product(
    x: Array, a: Array, start: Array, scale: Array, slope: float, y: Array, g: Geometry, weights: WeightLayout
) -> None:
    threads = get_num_threads()
    cut = plan(g, weights, threads, target().lanes(y.itemsize))
    memory, columns = worker_memory(y.dtype, threads, cut.workspace), x.reshape(-1)
    if cut.columns > 0:
        columns = scratch("packed", y.dtype, cut.columns)
        _make_panels(memory, x.reshape(-1), columns, cut.sizes, cut.blocks, cut.taps, cut.pieces)
    _multiply(
        memory, tile_table(x.dtype), a.reshape(-1), cut.rows_at, cut.depth_at, cut.vectors_at, columns,
        cut.rest_at, start, scale, y.dtype.type(slope), y.reshape(-1), cut.sizes, cut.blocks,
    )  # fmt: skip


@worker_kernel
def _make_panels(
    x: Array, columns: Array, sizes: Array, blocks: Array, taps: Array, pieces: Array, tasks: Tasks,
    memory: Array,
) -> None:  # fmt: skip
    """columns[(group * all + j) * K + k * width + i] = col[k; j + i].

    j: a panel's first position; i < width: its positions, of which those beyond the last one get arbitrary
    values. all: positions in panels and left over.
    """
    g, cut = geometry_of(sizes), blocking_of(blocks)
    area, per_group = g.kernel_h * g.kernel_w, g.C // g.group
    K = per_group * area
    task_count = g.group * cut.parts
    task = take_task(tasks, task_count)
    while task < task_count:
        group, first = task // cut.parts, task % cut.parts * cut.channels
        last, to = min(first + cut.channels, per_group), group * (cut.length + cut.rest) * K
        if g.bare and g.P * g.Q == 1 and area == g.H * g.W:
            transpose_images(x, g, cut, group, K, first * area, last * area, columns, to)
        else:
            for c in range(first, last, STAGED):
                end = min(c + STAGED, last)
                gather_lines(x, g, cut, group, c, end, end == last, taps, pieces, columns, to, memory)
        task = take_task(tasks, task_count)


@kernel
def gather_lines(
    x: Array, g: Geometry, cut: FewPositionsBlocking, group: int, c0: int, c1: int, ends: bool, taps: Array,
    pieces: Array, columns: Array, first: int, memory: Array,
) -> None:  # fmt: skip
    """Make the rows of channels c0..c1 of a group's panels, piece by piece; the first panel is at `first`.

    Whole vectors write beyond a piece; the next piece or row overwrites that. After the last row of a task,
    which `ends` with these channels, follow another task's numbers, so there the copy is exact.
    """
    area, per_group, lanes = g.kernel_h * g.kernel_w, g.C // g.group, vector_lanes(x)
    if g.bare:
        b, bo, b_image = x, (group * per_group + c0) * g.H * g.W, g.C * g.H * g.W
    else:
        stage(x, g, 0, g.N, group * per_group + c0, group * per_group + c1, 0, cut.rows, memory)
        b, bo, b_image = memory, 0, (c1 - c0) * cut.rows * g.line
    rows = (c1 - c0) * area
    for k in range(rows):
        last = ends and k + 1 == rows
        for s in range(pieces.shape[0]):
            count, width = pieces[s, 3], pieces[s, 4]
            at = bo + pieces[s, 0] * b_image + pieces[s, 1] + taps[k]
            to = first + pieces[s, 2] + (c0 * area + k) * width
            if width == 1:
                columns[to] = b[at]
            elif last or at + count + lanes > b.size:
                copy_exact(b, at, columns, to, count)
            else:
                copy_run(b, at, columns, to, count)


@kernel
def transpose_images(
    x: Array, g: Geometry, cut: FewPositionsBlocking, group: int, K: int, k0: int, k1: int, columns: Array,
    to: int,
) -> None:  # fmt: skip
    """Make the rows k0..k1 of a group's panels from images that are one column each, as they stand.

    The first panel is at columns[to]. The unused part of a panel gets arbitrary values.
    """
    lanes, j = vector_lanes(x), 0
    while j < g.N:
        width = panel_width(cut.length - j, lanes)
        images = min(width, g.N - j)
        at, out = (j * g.group + group) * K + k0, to + j * K + k0 * width
        # whole vectors may write beyond their numbers: the last of them go one by one
        whole = max(0, k1 - k0 - 2 * lanes)
        transpose_panel(x, at, g.group * K, images, whole, width, columns, out)
        for k in range(whole, k1 - k0):
            for i in range(images):
                columns[out + k * width + i] = x[at + i * g.group * K + k]
        j += width


@worker_kernel
def _multiply(
    tiles: Array, a: Array, rows_at: Array, depth_at: Array, vectors_at: Array, columns: Array,
    rest_at: Array, start: Array, scale: Array, slope: float, y: Array, sizes: Array, blocks: Array,
    tasks: Tasks, memory: Array,
) -> None:  # fmt: skip
    """Do tasks of `product_at_few`, with panels or `direct`, until none is left; sums in the arrays' type."""
    g, cut = geometry_of(sizes), blocking_of(blocks)
    rows, lanes, plane = g.M // g.group, vector_lanes(a), g.P * g.Q
    K = g.C // g.group * g.kernel_h * g.kernel_w
    parts = (rows + cut.height - 1) // cut.height
    sums, left_over, of_group = memory[: cut.height * cut.row], memory[cut.height * cut.row :], -1
    task = take_task(tasks, cut.tasks)
    while task < cut.tasks:
        group, i0 = task // parts, task % parts * cut.height
        m, height = group * rows + i0, min(cut.height, rows - i0)
        first = group * (cut.length + cut.rest) * K
        if cut.direct and of_group != group:
            of_group = group
            for k in range(K):
                for r in range(cut.rest):
                    left_over[r * K + k] = columns[(group * K + k) * plane + cut.length + r]
        for k0 in range(0, K, cut.depth):
            j, end = 0, min(k0 + cut.depth, K)
            while j < cut.length:
                width = panel_width(cut.length - j, lanes)
                most = max_pick_rows(width // lanes)
                count = tile_count(height, min(STREAMS, most) if cut.ahead > 0 else most)
                for t in range(count):
                    i, last = t * height // count, (t + 1) * height // count
                    if j == 0 and end == K:
                        results_near(g, m + i, m + last, y)
                    k = k0
                    while k < end:
                        depth = min(SUM_DEPTH, end - k)
                        if cut.ahead == 0:
                            # more panels than one: the first looks ahead for the next tile's rows
                            ahead = 0 if j > 0 else (last - i) * K if t + 1 < count else depth - i * K
                        elif k < K - cut.ahead:
                            depth, ahead = min(depth, K - cut.ahead - k), cut.ahead
                        else:  # beyond the rows' ends, to where the next tile's rows begin
                            ahead = cut.ahead + (last - i - 1) * K
                        bo, ldb = first + j * K + k * width, width
                        if cut.direct:
                            bo, ldb = (group * K + k) * plane + j, plane
                        pick_tile(
                            tiles, last - i, width // lanes, depth, a, 0, rows_at, m + i, depth_at, k,
                            columns, bo, ldb, sums, i * cut.row + j, cut.row, k > 0, ahead, 0, 0,
                        )  # fmt: skip
                        k += depth
                    if cut.rest > 0 and end == K and j + width == cut.length:
                        b, bo = (left_over, 0) if cut.direct else (columns, first + cut.length * K)
                        dot_block(
                            tiles, a, rows_at[m + i], K, vectors_at, last - i, b, bo, rest_at, 0, vectors_at,
                            cut.rest, False, K // lanes, K % lanes, sums, i * cut.row + cut.length, cut.row,
                            False, True, 0,
                        )  # fmt: skip
                j += width
        if plane == 1:
            finish_pixels(sums, cut.row, g, m, height, start, scale, slope, y)
        else:
            finish_planes(sums, cut.row, g, m, height, start, scale, slope, y)
        task = take_task(tasks, cut.tasks)


@kernel
def results_near(g: Geometry, m0: int, m1: int, y: Array) -> None:
    """Prefetch the memory that the results of channels m0 .. m1 will be stored to."""
    for n in range(g.N):
        bring_near(y, (n * g.M + m0) * g.P * g.Q, (m1 - m0) * g.P * g.Q)


@kernel
def finish_planes(
    sums: Array, length: int, g: Geometry, m: int, height: int, start: Array, scale: Array, slope: float,
    y: Array,
) -> None:  # fmt: skip
    """y[n, m + i, position] = act(scale[m + i] * sums[i, (n, position)] + start[m + i]) for i < height."""
    plane = g.P * g.Q
    for i in range(height):
        factor, shift = scale[m + i] if scale.size > 0 else sums.dtype.type(1), start[m + i]
        for n in range(g.N):
            at, to = i * length + n * plane, (n * g.M + m + i) * plane
            row, out = sums[at : at + plane], y[to : to + plane]
            for j in range(plane):
                value = factor * row[j] + shift
                out[j] = value if value > 0 else slope * value


@kernel
def finish_pixels(
    sums: Array, length: int, g: Geometry, m: int, height: int, start: Array, scale: Array, slope: float,
    y: Array,
) -> None:  # fmt: skip
    """As `finish_planes` for images of one pixel, whose channels lie side by side."""
    for n in range(g.N):
        out = y[n * g.M + m : n * g.M + m + height]
        for i in range(height):
            factor = scale[m + i] if scale.size > 0 else sums.dtype.type(1)
            value = factor * sums[i * length + n] + start[m + i]
            out[i] = value if value > 0 else slope * value
