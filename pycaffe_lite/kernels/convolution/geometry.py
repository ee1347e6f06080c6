"""The geometry of a 2-D convolution, and the copies between images and the columns of a matrix product.

A convolution is a matrix product: with k = (c, i, j) over the channels of a group and the kernel's offsets,
and a column (n, p, q) for each output position of each image,

    y[m; n, p, q] = sum over k of w[m, k] * col[k; n, p, q],
    col[c, i, j; n, p, q] = x[n, c, h, w],  h = p * stride_h - pad_h + i * dilation_h,
                                            w = q * stride_w - pad_w + j * dilation_w
                                            (0 outside the image).

col is never built as a whole. Without padding and with stride_w 1 a line of columns (all q of one p) is a run
of neighbours in the image already, at a distance from the line's start that depends on k alone: its *tap*.
Otherwise `stage` copies a few lines of a few channels with their padding, in an order for which the same
holds: a line of the image becomes `phases` runs, run f holding the pixels f, f + stride_w, .. `unstage` is
the transposed map. Lines that do not fill half vectors are put side by side by `gather`.
"""

from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.products.sizes import reader_of
from pycaffe_lite.kernels.runtime.decorators import Array, kernel
from pycaffe_lite.kernels.simd.copies import (
    copy_every_fourth,
    copy_every_second,
    copy_lines,
    copy_run,
    zero_run,
)
from pycaffe_lite.kernels.simd.vectors import keep_small, vector_lanes


class Window(NamedTuple):
    """The kernel, padding, strides and dilations of a convolution in pixels, and its number of groups."""

    kernel_h: int
    kernel_w: int
    pad_h: int = 0
    pad_w: int = 0
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    group: int = 1


class Geometry(NamedTuple):
    """A convolution's sizes: image (N, C, H, W), result (N, M, P, Q), window; and how its lines are read."""

    N: int
    C: int
    H: int
    W: int
    M: int
    P: int
    Q: int
    kernel_h: int
    kernel_w: int
    pad_h: int
    pad_w: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    group: int
    bare: int  # 1: read the image where it stands, without staging
    phases: int  # runs per staged line
    run: int  # pixels per run
    line: int  # from one line to the next: phases * run, or W if bare


def geometry(N: int, C: int, H: int, W: int, M: int, P: int, Q: int, window: Window) -> Geometry:
    """The geometry of a convolution; a 1x1 kernel without padding and strides may cut the image anew."""
    reach_h = (window.kernel_h - 1) * window.dilation_h
    reach_w = (window.kernel_w - 1) * window.dilation_w
    inside = (P - 1) * window.stride_h + reach_h < H and Q + reach_w <= W
    bare = window.pad_h == window.pad_w == 0 and window.stride_w == 1 and inside
    if bare and P * Q > 0 and window.kernel_h == window.kernel_w == window.stride_h == 1 and (P, Q) == (H, W):
        H, W = P, Q = _long_lines(P, Q)
    phases = min(window.stride_w, reach_w + 1)
    run = Q + reach_w // window.stride_w
    return Geometry(N, C, H, W, M, P, Q, *window, int(bare), phases, run, W if bare else phases * run)


geometry_of = reader_of(Geometry)


def _long_lines(P: int, Q: int) -> tuple[int, int]:
    """How many lines P x Q pixels are cut into, and how long these are.

    They are few lines of up to 512 pixels, of whole vectors if possible. An even number is preferred, because
    threads can share it evenly more often.
    """
    for whole in (32, 16, 8):
        fitting = [n for n in range(-(-P * Q // 512), P * Q // whole + 1) if P * Q % (n * whole) == 0]
        if fitting:
            lines = min(fitting, key=lambda n: (n % 2, n))
            return lines, P * Q // lines
    if P * Q <= 512:
        return 1, P * Q
    if Q <= 512:
        return P, Q
    width = max(width for width in range(1, 513) if P * Q % width == 0)
    return P * Q // width, width


def staged_lines(g: Geometry, lines: int) -> int:
    """Lines of the padded image that `lines` lines of results read."""
    return (lines - 1) * g.stride_h + (g.kernel_h - 1) * g.dilation_h + 1


def taps(g: Geometry, channels: int, channel_stride: int) -> Array:
    """For each k of `channels` channels, the distance of its pixel from that of channel 0, tap (0, 0)."""
    i = np.arange(g.kernel_h)[:, None] * g.dilation_h * g.line
    j = np.arange(g.kernel_w) * g.dilation_w
    if not g.bare:
        j = j % g.stride_w * g.run + j // g.stride_w
    return (np.arange(channels)[:, None] * channel_stride + (i + j).reshape(1, -1)).reshape(-1)


@kernel
def list_columns(images: int, lines: int, width: int, step: int, image: int, line: int, out: Array) -> int:
    """List where every `step`-th column of each line starts, image by image; returns how many there are.

    image and line are the distances from one image to the next, and from one line to the next.
    """
    keep_small()
    count = 0
    for n in range(images):
        for p in range(lines):
            for q in range(0, width, step):
                out[count] = n * image + p * line + q
                count += 1
    return count


@kernel
def inside(at: int, stride: int, count: int, size: int) -> tuple[int, int]:
    """The range of i in 0 <= i < count for which 0 <= at + i * stride < size."""
    low = 0 if at >= 0 else min(count, (-at + stride - 1) // stride)
    high = 0 if at >= size else min(count, (size - at + stride - 1) // stride)
    return low, max(low, high)


@kernel
def stage(
    x: Array, g: Geometry, n0: int, n1: int, c0: int, c1: int, first: int, rows: int, out: Array
) -> None:
    """Copy lines first .. first + rows of the padded images n0..n1, channels c0..c1, as runs.

    out[(((n - n0) * (c1 - c0) + c - c0) * rows + r) * line + f * run + t] =
    padded x[n, c, first + r, t * stride_w + f]. out has a vector of room at its end.
    first is a multiple of stride_h; lines that no result reads may be skipped.
    """
    keep_small()
    lanes = vector_lanes(x)
    read = min(g.stride_h, (g.kernel_h - 1) * g.dilation_h + 1)
    to = 0
    for n in range(n0, n1):
        for c in range(c0, c1):
            plane = (n * g.C + c) * g.H * g.W
            if g.stride_w == 1:
                low, high = inside(first - g.pad_h, 1, rows, g.H)
                source = plane + (first - g.pad_h + low) * g.W
                zero_run(out, to, low * g.line)
                copy_lines(x, source, g.W, high - low, out, to + low * g.line, g.line, g.pad_w)
                zero_run(out, to + high * g.line, (rows - high) * g.line)
                to += rows * g.line
                continue
            for r in range(rows):
                h = first + r - g.pad_h
                if r % g.stride_h >= read:
                    to += g.line
                    continue
                if h < 0 or h >= g.H:
                    zero_run(out, to, g.line)
                    to += g.line
                    continue
                for f in range(g.phases):
                    w = f - g.pad_w
                    low, high = inside(w, g.stride_w, g.run, g.W)
                    row = plane + h * g.W + w
                    zero_run(out, to, low)
                    if g.stride_w == 2 and row + 2 * (high + lanes) <= x.size:
                        copy_every_second(x, row + 2 * low, out, to + low, high - low)
                    elif g.stride_w == 4 and row + 4 * (high + lanes) <= x.size:
                        copy_every_fourth(x, row + 4 * low, out, to + low, high - low)
                    else:
                        for t in range(low, high):
                            out[to + t] = x[row + t * g.stride_w]
                    zero_run(out, to + high, g.run - high)
                    to += g.run


@kernel
def unstage(staged: Array, g: Geometry, n: int, c0: int, c1: int, rows: int, dx: Array) -> None:
    """dx[n, c, h, w] = the staged pixel (0 where there is none), channels c0..c1 of image n.

    staged: `rows` lines per channel from line 0 of the padded image, laid out as by `stage`.
    """
    to = (n * g.C + c0) * g.H * g.W
    for c in range(c1 - c0):
        for h in range(g.H):
            if h + g.pad_h >= rows:
                dx[to : to + g.W] = 0
                to += g.W
                continue
            source = (c * rows + h + g.pad_h) * g.line
            if g.stride_w == 1:
                count = min(g.W, g.run - g.pad_w)
                for w in range(count):
                    dx[to + w] = staged[source + g.pad_w + w]
                for w in range(count, g.W):
                    dx[to + w] = 0
            else:
                for w in range(g.W):
                    f, t = (w + g.pad_w) % g.stride_w, (w + g.pad_w) // g.stride_w
                    there = f < g.phases and t < g.run
                    dx[to + w] = staged[source + f * g.run + t] if there else 0
            to += g.W


@kernel
def gather(
    b: Array, bo: int, taps: Array, k0: int, k1: int, images: int, lines: int, width: int,
    b_image: int, b_line: int, out: Array, ld: int,
) -> None:  # fmt: skip
    """Put lines of columns side by side: out[(k - k0) * ld + (n * lines + p) * width + q] =
    b[bo + n * b_image + p * b_line + q + taps[k]] for k0 <= k < k1, n < images, p < lines, q < width.

    Rows of `out` must reach a vector beyond the last column (`products.blocks.row_length`).
    """  # noqa: D205
    keep_small()
    lanes = vector_lanes(b)
    for k in range(k0, k1):
        to = (k - k0) * ld
        for n in range(images):
            at = bo + n * b_image + taps[k]
            if at + (lines - 1) * b_line + width + lanes <= b.size:
                for _line in range(lines):
                    copy_run(b, at, out, to, width)
                    at += b_line
                    to += width
            else:
                for _line in range(lines):
                    for q in range(width):
                        out[to + q] = b[at + q]
                    at += b_line
                    to += width
