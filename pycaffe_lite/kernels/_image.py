"""The geometry of a 2-D convolution, and the copies between images and matrix columns.

A convolution is a matrix product: with k = (c, i, j) over the channels of a group and the kernel's offsets,
and a column (n, p, q) for each output position of each image,

    y[m; n, p, q] = sum over k of w[m, k] * col[k; n, p, q],
    col[c, i, j; n, p, q] = x[n, c, h, w],  h = p * stride_h - pad_h + i * dilation_h,
                                            w = q * stride_w - pad_w + j * dilation_w

(0 outside the image). col is never built as a whole: `gather` fills the piece that a block needs, `scatter`
adds such a piece back, which is the transposed map.
"""

from typing import NamedTuple

from pycaffe_lite.kernels._jit import Array, kernel
from pycaffe_lite.kernels._simd import copy_run, vector_lanes, zero_run


class Window(NamedTuple):
    """What a convolution's kernel covers: sizes in pixels, the number of groups of channels."""

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
    """A convolution's sizes: image (N, C, H, W), result (N, M, P, Q), window."""

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


@kernel
def inside(at: int, stride: int, count: int, size: int) -> tuple[int, int]:
    """The range of i in 0 <= i < count for which 0 <= at + i * stride < size."""
    low = 0 if at >= 0 else min(count, (-at + stride - 1) // stride)
    high = 0 if at >= size else min(count, (size - at + stride - 1) // stride)
    return low, max(low, high)


@kernel
def gather(
    x: Array, g: Geometry, channel: int, k0: int, k1: int, j0: int, j1: int, out: Array, ld: int
) -> None:
    """out[(k - k0) * ld + j - j0] = col[k; j] for k0 <= k < k1 and the columns j0 <= j < j1.

    k counts from `channel` on; column j is (n, p, q) = (j // (P Q), j // Q % P, j % Q). Rows of `out` must
    reach a vector beyond the last column (`_block.row_length`).
    """
    window, plane = g.kernel_h * g.kernel_w, g.P * g.Q
    lanes = vector_lanes(x)
    for k in range(k0, k1):
        c, i = channel + k // window, k % window // g.kernel_w
        row_offset = i * g.dilation_h - g.pad_h
        column_offset = k % g.kernel_w * g.dilation_w - g.pad_w
        to = (k - k0) * ld
        j = j0
        while j < j1:
            n, p, q = j // plane, j % plane // g.Q, j % g.Q
            count = min(g.Q - q, j1 - j)
            h = p * g.stride_h + row_offset
            if h < 0 or h >= g.H:
                zero_run(out, to, count)
            else:
                w = q * g.stride_w + column_offset
                low, high = inside(w, g.stride_w, count, g.W)
                row = ((n * g.C + c) * g.H + h) * g.W + w
                zero_run(out, to, low)
                if g.stride_w == 1 and row + high + lanes <= x.size:
                    copy_run(x, row + low, out, to + low, high - low)
                else:
                    for t in range(low, high):
                        out[to + t] = x[row + t * g.stride_w]
                zero_run(out, to + high, count - high)
            to += count
            j += count


@kernel
def scatter(
    piece: Array, ld: int, g: Geometry, n: int, channel: int, k0: int, k1: int, j0: int, j1: int, dx: Array
) -> None:
    """dx[the element that col[k; j] of image n reads] += piece[(k - k0) * ld + j - j0].

    The transpose of `gather`, for columns j = p * Q + q of one image.
    """
    window = g.kernel_h * g.kernel_w
    for k in range(k0, k1):
        c, i = channel + k // window, k % window // g.kernel_w
        row_offset = i * g.dilation_h - g.pad_h
        column_offset = k % g.kernel_w * g.dilation_w - g.pad_w
        source = (k - k0) * ld
        j = j0
        while j < j1:
            p, q = j // g.Q, j % g.Q
            count = min(g.Q - q, j1 - j)
            h = p * g.stride_h + row_offset
            if 0 <= h < g.H:
                w = q * g.stride_w + column_offset
                low, high = inside(w, g.stride_w, count, g.W)
                row = ((n * g.C + c) * g.H + h) * g.W + w
                if g.stride_w == 1:
                    for t in range(low, high):
                        dx[row + t] += piece[source + t]
                else:
                    for t in range(low, high):
                        dx[row + t * g.stride_w] += piece[source + t]
            source += count
            j += count
