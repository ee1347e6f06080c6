"""2-D convolution and its two gradients as blocked matrix products (`_image` has the equations).

A deconvolution is the same three functions the other way round: its forward pass is `backward_data`, its
data gradient `forward`, and its weight gradient `backward_weights` with image and gradient exchanged.

Results are the same bits for every number of threads: blocks cut outputs, and the sums for one output run
over the depth (or, for weights, over images and positions) in a fixed order.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import prange

from pycaffe_lite.kernels import _block
from pycaffe_lite.kernels._block import dot_block, multiply_block, pack_rows, row_length
from pycaffe_lite.kernels._image import Geometry, Window, gather, scatter
from pycaffe_lite.kernels._jit import Array, get_num_threads, kernel, parallel_kernel
from pycaffe_lite.kernels._scratch import scratch
from pycaffe_lite.kernels._simd import copy_run, take_task, target, vector_lanes

__all__ = ["End", "Window", "backward_bias", "backward_data", "backward_weights", "forward"]

GATHER_COLUMNS = 512  # columns per step of a weight gradient


class End(NamedTuple):
    """What follows a convolution in one go: y = act(scale[m] * conv + shift[m]).

    scale, shift: (M,), the type of the arrays. act(v) is v if v > 0 else slope * v; slope 1 is none.
    """

    scale: Array
    shift: Array
    slope: float = 1.0


@lru_cache(maxsize=1024)
def _geometry(x: tuple[int, ...], w: tuple[int, ...], y: tuple[int, ...], window: Window) -> Geometry:
    """Sizes of a convolution from the shapes of image, weights and result, which must fit together."""
    N, C, H, W = x
    M = w[0]
    if w != (M, C // window.group, window.kernel_h, window.kernel_w) or C % window.group or M % window.group:
        raise ValueError(f"convolution: weights {w} do not fit an image {x} and {window}")
    if y[:2] != (N, M):
        raise ValueError(f"convolution: result {y} does not fit an image {x} and weights {w}")
    return Geometry(N, C, H, W, M, y[2], y[3], *window)


def _blocks(rows: int, columns: int, batch: int, tile: int) -> tuple[int, int]:
    """Rows and columns of C per task for `batch` products of rows x columns each."""
    threads = get_num_threads()
    wanted = -(-2 * threads // batch)
    height = min(_block.ROWS, rows)
    width = min(_block.COLUMNS, -(-columns // tile) * tile)
    if -(-columns // width) * -(-rows // height) < wanted:
        if columns >= 4 * tile * wanted or rows < 16 * wanted:
            width = max(tile, -(-columns // wanted // tile) * tile)
        else:
            height = -(-rows // wanted)
    return height, width


def _memory(dtype: np.dtype, workers: int, numbers: int) -> Array:
    """Working memory: one row of at least `numbers` numbers per worker, aligned to cache lines."""
    numbers = -(-numbers // 64) * 64
    return scratch(dtype, workers * numbers).reshape(workers, numbers)


def forward(x: Array, w: Array, bias: Array | None, y: Array, window: Window, end: End | None = None) -> None:
    """Compute y = act(scale * (w * x + bias) + shift), see `End`; without an end y = w * x + bias.

    The arrays are contiguous, all float32 or all float64; sums are kept in that type.

    Args:
        x: (N, C, H, W).
        w: (M, C / group, kernel_h, kernel_w).
        bias: (M,), or None.
        y: (N, M, P, Q), overwritten.
        window: kernel, padding, stride, dilation and groups.
        end: what to do with each result before it is stored, or None.
    """
    g = _geometry(x.shape, w.shape, y.shape, window)
    K = g.C // g.group * g.kernel_h * g.kernel_w
    start = np.zeros(g.M, y.dtype) if bias is None else bias
    scale, slope = np.empty(0, y.dtype), 1.0
    if end is not None:
        scale, slope = end.scale, end.slope
        start = end.shift if bias is None else end.scale * bias + end.shift
    _product(x, w, K, np.arange(K), start, scale, slope, y, g)


def _product(
    x: Array, a: Array, row_stride: int, offsets: Array, start: Array, scale: Array, slope: float, y: Array,
    g: Geometry,
) -> None:  # fmt: skip
    """y[n, m; p, q] = act(start[m] + sum over k of A[m, k] col[k; n, p, q]), group by group."""
    if y.size == 0:
        return
    rows, columns = g.M // g.group, g.N * g.P * g.Q
    tile = 2 * target().lanes(y.itemsize)
    height, width = _blocks(rows, columns, g.group, tile)
    tasks = g.group * -(-rows // height) * -(-columns // width)
    workers = min(get_num_threads(), tasks)
    depth = min(_block.DEPTH, offsets.size)
    memory = _memory(y.dtype, workers, depth * (width + tile) + _block.OUTER_TILE_SIZE + 2 * tile)
    packed = np.empty(a.size, a.dtype)
    _forward(
        x.reshape(-1), a.reshape(-1), row_stride, offsets, start, scale, slope, y.reshape(-1), g,
        height, width, packed, np.zeros(2, np.int64), memory,
    )  # fmt: skip


@parallel_kernel
def _forward(
    x: Array, a: Array, row_stride: int, offsets: Array, start: Array, scale: Array, slope: float, y: Array,
    g: Geometry, height: int, width: int, packed: Array, counters: Array, memory: Array,
) -> None:  # fmt: skip
    """As `_product`; a task is a block of height x width of one group's result, for all images."""
    K, rows, plane = offsets.size, g.M // g.group, g.P * g.Q
    columns = g.N * plane
    row_blocks, column_blocks = (rows + height - 1) // height, (columns + width - 1) // width
    channels = g.C // g.group
    ld = row_length(width, x)
    slope = x.dtype.type(slope)
    for block in prange(g.group * row_blocks):
        group, i0 = block // row_blocks, block % row_blocks * height
        m, count = group * rows + i0, min(height, rows - i0)
        for k0 in range(0, K, _block.DEPTH):
            k1 = min(K, k0 + _block.DEPTH)
            to = group * rows * K + k0 * rows + i0 * (k1 - k0)
            pack_rows(a, m * row_stride, row_stride, offsets, k0, k1, count, scale, m, packed, to)
    for worker in prange(memory.shape[0]):
        piece, tile = memory[worker][_block.OUTER_TILE_SIZE :], memory[worker]
        task = take_task(counters)
        while task < g.group * row_blocks * column_blocks:
            group = task // (row_blocks * column_blocks)
            i0, j0 = task // column_blocks % row_blocks * height, task % column_blocks * width
            count, j1 = min(height, rows - i0), min(columns, j0 + width)
            m = group * rows + i0
            for k0 in range(0, K, _block.DEPTH):
                k1 = min(K, k0 + _block.DEPTH)
                gather(x, g, group * channels, k0, k1, j0, j1, piece, ld)
                multiply_block(
                    packed, group * rows * K + k0 * rows + i0 * (k1 - k0), count, k1 - k0, piece, 0, ld,
                    y, m * plane, plane, j0, j1, plane, g.M * plane,
                    start, m, k0 > 0, k1 == K and slope != 1, slope, tile,
                )  # fmt: skip
            task = take_task(counters)


def backward_data(dy: Array, w: Array, dx: Array, window: Window) -> None:
    """Compute dx, the gradient with respect to x: each dy times its weights, added where x was read.

    Args:
        dy: (N, M, P, Q); arrays as for `forward`.
        w: (M, C / group, kernel_h, kernel_w).
        dx: (N, C, H, W), overwritten.
        window: as for `forward`.
    """
    g = _geometry(dx.shape, w.shape, dy.shape, window)
    if dx.size == 0:
        return
    if dy.size == 0:
        dx.fill(0)
        return
    area, channels, rows = g.kernel_h * g.kernel_w, g.C // g.group, g.M // g.group
    K = channels * area
    pad_h, pad_w = g.dilation_h * (g.kernel_h - 1) - g.pad_h, g.dilation_w * (g.kernel_w - 1) - g.pad_w
    same_size = g.H * g.W <= 1.2 * g.P * g.Q
    if g.stride_h == g.stride_w == 1 and pad_h >= 0 and pad_w >= 0 and same_size and g.group == 1:
        # With stride 1 this is itself a convolution, of dy with the kernels turned by half a circle; it
        # also works on the zeros round dy, so it pays where there are few of them.
        turned = Geometry(g.N, g.M, g.P, g.Q, g.C, g.H, g.W, *g[7:9], pad_h, pad_w, 1, 1, *g[13:])
        offsets = (np.arange(rows)[:, None] * K + np.arange(area)[None, ::-1]).reshape(-1)
        zeros = np.zeros(g.C, dx.dtype)
        _product(dy, w, area, offsets, zeros, np.empty(0, dx.dtype), 1.0, dx, turned)
        return
    threads, plane = get_num_threads(), g.P * g.Q
    # channels per task: a piece of col stays in the cache, and every thread gets work
    per_task = max(1, min(channels, 256 // area, -(-g.N * channels * g.group // (2 * threads))))
    tile = 2 * target().lanes(dx.itemsize)
    width = min(_block.COLUMNS, -(-plane // tile) * tile)
    depth = min(_block.DEPTH, rows)
    tasks = g.N * g.group * -(-channels // per_task)
    memory = _memory(
        dx.dtype, min(threads, tasks), (depth + per_task * area) * (width + tile) + _block.OUTER_TILE_SIZE
    )
    offsets = np.arange(rows) * K
    _backward_data(
        dy.reshape(-1), w.reshape(-1), offsets, dx.reshape(-1), g, per_task, width, np.empty(w.size, w.dtype),
        np.zeros(per_task * area, dx.dtype), np.zeros(1, np.int64), memory,
    )  # fmt: skip


@kernel
def copy_columns(a: Array, at: int, stride: int, rows: int, count: int, out: Array, ld: int) -> None:
    """out[r * ld + j] = a[at + r * stride + j] for r < rows, j < count; whole vectors, as `copy_run`."""
    for r in range(rows):
        source = at + r * stride
        if source + count + vector_lanes(a) <= a.size:
            copy_run(a, source, out, r * ld, count)
        else:
            for j in range(count):
                out[r * ld + j] = a[source + j]


@parallel_kernel
def _backward_data(
    dy: Array, w: Array, offsets: Array, dx: Array, g: Geometry, per_task: int, width: int, packed: Array,
    zeros: Array, counter: Array, memory: Array,
) -> None:  # fmt: skip
    """dcol[k; j] = sum over m of w[m, k] dy[m; j], scattered into dx; a task is some channels of an image."""
    area, channels, rows, plane = g.kernel_h * g.kernel_w, g.C // g.group, g.M // g.group, g.P * g.Q
    K, parts = channels * area, (channels + per_task - 1) // per_task
    ld = row_length(width, dy)
    one = dy.dtype.type(1)
    for block in prange(g.group * parts):
        group, c0 = block // parts, block % parts * per_task
        count = (min(channels, c0 + per_task) - c0) * area
        for m0 in range(0, rows, _block.DEPTH):
            m1 = min(rows, m0 + _block.DEPTH)
            to = group * rows * K + m0 * K + c0 * area * (m1 - m0)
            at = group * rows * K + c0 * area
            pack_rows(w, at, 1, offsets, m0, m1, count, zeros[:0], 0, packed, to)
    for worker in prange(memory.shape[0]):
        space = memory[worker]
        tile, piece = space[: _block.OUTER_TILE_SIZE], space[_block.OUTER_TILE_SIZE :]
        columns = piece[min(_block.DEPTH, rows) * ld :]
        task = take_task(counter)
        while task < g.N * g.group * parts:
            n, group, c0 = task // (g.group * parts), task // parts % g.group, task % parts * per_task
            c1 = min(channels, c0 + per_task)
            first = (n * g.C + group * channels + c0) * g.H * g.W
            dx[first : first + (c1 - c0) * g.H * g.W] = 0
            for j0 in range(0, plane, width):
                j1 = min(plane, j0 + width)
                for m0 in range(0, rows, _block.DEPTH):
                    m1 = min(rows, m0 + _block.DEPTH)
                    at = (n * g.M + group * rows + m0) * plane + j0
                    copy_columns(dy, at, plane, m1 - m0, j1 - j0, piece, ld)
                    multiply_block(
                        packed, group * rows * K + m0 * K + c0 * area * (m1 - m0), (c1 - c0) * area, m1 - m0,
                        piece, 0, ld, columns, 0, ld, 0, j1 - j0, j1 - j0, 0,
                        zeros, 0, m0 > 0, False, one, tile,
                    )  # fmt: skip
                scatter(columns, ld, g, n, group * channels, c0 * area, c1 * area, j0, j1, dx)
            task = take_task(counter)


def backward_weights(x: Array, dy: Array, dw: Array, window: Window) -> None:
    """Add to dw the gradient with respect to w: the sum over images and positions of dy times x.

    Args:
        x: (N, C, H, W); arrays as for `forward`.
        dy: (N, M, P, Q).
        dw: (M, C / group, kernel_h, kernel_w), added to.
        window: as for `forward`.
    """
    g = _geometry(x.shape, dw.shape, dy.shape, window)
    if dw.size == 0 or dy.size == 0:
        return
    rows, K = g.M // g.group, g.C // g.group * g.kernel_h * g.kernel_w
    threads = get_num_threads()
    height = min(rows, 64)
    width = min(256, -(-K // -(-2 * threads // (g.group * -(-rows // height))) // 4) * 4)
    width = max(4, width)
    tasks = g.group * -(-rows // height) * -(-K // width)
    ld = GATHER_COLUMNS + 3 * target().lanes(dw.itemsize)
    memory = _memory(dw.dtype, min(threads, tasks), (height + width) * ld + 64)
    _backward_weights(
        x.reshape(-1), dy.reshape(-1), dw.reshape(-1), g, height, width, np.zeros(1, np.int64), memory
    )


@kernel
def gather_gradient(dy: Array, g: Geometry, m: int, rows: int, j0: int, j1: int, out: Array, ld: int) -> None:
    """out[r * ld + j - j0] = dy[n, m + r; position] for the columns j = (n, position), j0 <= j < j1."""
    plane = g.P * g.Q
    j = j0
    while j < j1:
        n, position = j // plane, j % plane
        count = min(plane - position, j1 - j)
        copy_columns(dy, (n * g.M + m) * plane + position, plane, rows, count, out[j - j0 :], ld)
        j += count


@parallel_kernel
def _backward_weights(
    x: Array, dy: Array, dw: Array, g: Geometry, height: int, width: int, counter: Array, memory: Array
) -> None:
    """dw[m, k] += sum over j of dy[m; j] col[k; j]; a task is a block of height x width of dw."""
    rows, K, columns = g.M // g.group, g.C // g.group * g.kernel_h * g.kernel_w, g.N * g.P * g.Q
    row_blocks, k_blocks = (rows + height - 1) // height, (K + width - 1) // width
    lanes = vector_lanes(x)
    ld = GATHER_COLUMNS + 3 * lanes
    for worker in prange(memory.shape[0]):
        tile = memory[worker][:64]
        gradient, piece = memory[worker][64:], memory[worker][64 + height * ld :]
        task = take_task(counter)
        while task < g.group * row_blocks * k_blocks:
            group, i0 = task // (row_blocks * k_blocks), task // k_blocks % row_blocks * height
            k0 = task % k_blocks * width
            k1, count = min(K, k0 + width), min(height, rows - i0)
            for j0 in range(0, columns, GATHER_COLUMNS):
                j1 = min(columns, j0 + GATHER_COLUMNS)
                gather_gradient(dy, g, group * rows + i0, count, j0, j1, gradient, ld)
                gather(x, g, group * (g.C // g.group), k0, k1, j0, j1, piece, ld)
                dot_block(
                    gradient, 0, ld, count, piece, 0, ld, k1 - k0, j1 - j0,
                    dw, (group * rows + i0) * K + k0, K, True, tile,
                )  # fmt: skip
            task = take_task(counter)


def backward_bias(dy: Array, db: Array) -> None:
    """Add to db[m] the sum over images n and positions of dy[n, m; position]. dy: (N, M, ...); db: (M,)."""
    db += dy.reshape(*dy.shape[:2], -1).sum(axis=(0, 2))
