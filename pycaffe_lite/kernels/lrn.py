"""Local response normalisation, across channels and within the planes of single channels.

Both kinds have the form y = x S^-beta with S = k + scale * (sum of x² over a neighbourhood). The sums are
running sums: the value that enters is added, the one that leaves is subtracted. They are kept in float64, so
that roundings of large values that have left do not spoil the sums of small ones. The backward pass computes
S again instead of reading it.
"""

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import (
    Array,
    Tasks,
    kernel,
    parallel_kernel,
    take_task,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.scratch import no_memory

COLUMNS = 256  # positions of one task: its rows of all channels stay in the L2 cache


@kernel
def _negative_power(s: Array, beta: float, p: Array) -> None:
    """p[i] = s[i]^-beta, without the C library's `pow` for the usual beta."""
    T = s.dtype.type
    if beta == 0.75:
        for i in range(s.size):
            root = np.sqrt(s[i])
            p[i] = T(1) / (root * np.sqrt(root))
    else:
        exponent = T(-beta)
        for i in range(s.size):
            p[i] = s[i] ** exponent


@kernel
def _add_squares(x: Array, total: Array) -> None:
    for i in range(x.size):
        total[i] += np.float64(x[i]) * x[i]


@kernel
def _subtract_squares(x: Array, total: Array) -> None:
    for i in range(x.size):
        total[i] -= np.float64(x[i]) * x[i]


@kernel
def _add(x: Array, total: Array) -> None:
    for i in range(x.size):
        total[i] += x[i]


@kernel
def _subtract(x: Array, total: Array) -> None:
    for i in range(x.size):
        total[i] -= x[i]


@kernel
def _sizes(
    x: Array, n: int, c: int, start: int, half: int, scale: float, k: float, total: Array, s: Array
) -> None:
    """Compute s[i] = S[n, c, start + i] and update `total`, the running sum of squares.

    total: that of channel c - 1 at entry, 0 for c = 0.

    x: (N, C, inner). total: (columns,), float64. s: (columns,).
    """
    C, stop = x.shape[1], start + s.size
    if c == 0:
        for d in range(min(half, C)):
            _add_squares(x[n, d, start:stop], total)
    if c + half < C:
        _add_squares(x[n, c + half, start:stop], total)
    if c - half - 1 >= 0:
        _subtract_squares(x[n, c - half - 1, start:stop], total)
    for i in range(total.size):
        s[i] = k + scale * total[i]


@kernel
def _forward_columns(
    x: Array, n: int, start: int, stop: int, half: int, scale: float, beta: float, k: float, y: Array
) -> None:
    """As `forward_across`, for some columns of one image."""
    total = np.zeros(stop - start)
    s, p = np.empty(stop - start, x.dtype), np.empty(stop - start, x.dtype)
    for c in range(x.shape[1]):
        _sizes(x, n, c, start, half, scale, k, total, s)
        _negative_power(s, beta, p)
        source, out = x[n, c, start:stop], y[n, c, start:stop]
        for i in range(p.size):
            out[i] = source[i] * p[i]


def forward_across(x: Array, half: int, scale: float, beta: float, k: float, y: Array) -> None:
    """y[n, c, i] = x[n, c, i] S[n, c, i]^-beta, S = k + scale * (sum of x[n, d, i]² for |d - c| <= half).

    x, y: (N, C, inner); y is not x.
    """
    _forward_across(no_memory(x.dtype), x, half, float(scale), float(beta), float(k), y)


@worker_kernel
def _forward_across(
    x: Array, half: int, scale: float, beta: float, k: float, y: Array, tasks: Tasks, _memory: Array
) -> None:
    blocks = (x.shape[2] + COLUMNS - 1) // COLUMNS
    task = take_task(tasks, x.shape[0] * blocks)
    while task < x.shape[0] * blocks:
        n, start = task // blocks, task % blocks * COLUMNS
        stop = min(x.shape[2], start + COLUMNS)
        _forward_columns(x, n, start, stop, half, scale, beta, k, y)
        task = take_task(tasks, x.shape[0] * blocks)


@kernel
def _backward_columns(
    x: Array, dy: Array, n: int, start: int, stop: int, half: int, scale: float, beta: float, k: float,
    dx: Array,
) -> None:  # fmt: skip
    """As `backward_across`, for some columns of one image."""
    C, columns = x.shape[1], stop - start
    total = np.zeros(columns)
    s, p = np.empty(columns, x.dtype), np.empty(columns, x.dtype)
    ratio = np.empty((C, columns), x.dtype)
    for c in range(C):
        _sizes(x, n, c, start, half, scale, k, total, s)
        _negative_power(s, beta, p)
        source, slope, out, row = x[n, c, start:stop], dy[n, c, start:stop], dx[n, c, start:stop], ratio[c]
        for i in range(columns):
            direct = slope[i] * p[i]
            row[i] = direct * source[i] / s[i]
            out[i] = direct
    total[:] = 0
    factor = 2 * scale * beta
    for c in range(min(half, C)):
        _add(ratio[c], total)
    for c in range(C):
        if c + half < C:
            _add(ratio[c + half], total)
        if c - half - 1 >= 0:
            _subtract(ratio[c - half - 1], total)
        source, out = x[n, c, start:stop], dx[n, c, start:stop]
        for i in range(columns):
            out[i] -= source[i] * x.dtype.type(factor * total[i])


def backward_across(x: Array, dy: Array, half: int, scale: float, beta: float, k: float, dx: Array) -> None:
    """dx[n, c, i] = dy S^-beta - 2 scale beta x * (sum of dy x S^-beta / S at [n, d, i] for |d - c| <= half).

    S as in `forward_across`. x, dy, dx: (N, C, inner); dx may be dy.
    """
    _backward_across(no_memory(x.dtype), x, dy, half, float(scale), float(beta), float(k), dx)


@worker_kernel
def _backward_across(
    x: Array, dy: Array, half: int, scale: float, beta: float, k: float, dx: Array, tasks: Tasks,
    _memory: Array,
) -> None:  # fmt: skip
    blocks = (x.shape[2] + COLUMNS - 1) // COLUMNS
    task = take_task(tasks, x.shape[0] * blocks)
    while task < x.shape[0] * blocks:
        n, start = task // blocks, task % blocks * COLUMNS
        stop = min(x.shape[2], start + COLUMNS)
        _backward_columns(x, dy, n, start, stop, half, scale, beta, k, dx)
        task = take_task(tasks, x.shape[0] * blocks)


@kernel
def _box_sums(plane: Array, W: int, half: int, out: Array) -> None:
    """out[h, w] = sum of plane[g, v] for |g - h| <= half and |v - w| <= half.

    Both planes are flat, W numbers a row. The sums down the columns are running sums over h. A sum along a
    row is a difference of two prefix sums, which are 0 for `half` places before the row and constant for
    `half` places after it.
    """
    H = plane.size // W
    column, prefix = np.zeros(W), np.zeros(W + 2 * half + 1)
    for h in range(min(half, H)):
        _add(plane[h * W : (h + 1) * W], column)
    for h in range(H):
        if h + half < H:
            _add(plane[(h + half) * W : (h + half + 1) * W], column)
        if h - half - 1 >= 0:
            _subtract(plane[(h - half - 1) * W : (h - half) * W], column)
        total = 0.0
        for w in range(W):
            total += column[w]
            prefix[half + 1 + w] = total
        prefix[half + 1 + W :] = total
        row, before, behind = out[h * W : (h + 1) * W], prefix[:W], prefix[2 * half + 1 :]
        for w in range(W):
            row[w] = behind[w] - before[w]


@kernel
def _plane_sizes(x: Array, W: int, half: int, scale: float, square: Array, s: Array) -> None:
    """Compute s = 1 + scale * (box sums of x²) of a flat plane.  square: working memory, as large."""
    for i in range(x.size):
        square[i] = x[i] * x[i]
    _box_sums(square, W, half, s)
    T = x.dtype.type
    for i in range(s.size):
        s[i] = T(1) + T(scale) * s[i]


@kernel
def _forward_plane(x: Array, W: int, half: int, scale: float, beta: float, y: Array) -> None:
    """As `forward_within`, for one plane."""
    p, s = np.empty_like(x), np.empty_like(x)
    _plane_sizes(x, W, half, scale, p, s)
    _negative_power(s, beta, p)
    for i in range(x.size):
        y[i] = x[i] * p[i]


@parallel_kernel
def forward_within(x: Array, W: int, half: int, scale: float, beta: float, y: Array) -> None:
    """y[m, h, w] = x[m, h, w] S[m, h, w]^-beta, S = 1 + scale * (sum of x[m, g, v]² about (h, w)).

    The sum runs over |g - h| <= half and |v - w| <= half. x, y: (M, H W), W numbers a row; y is not x.
    """
    for m in prange(x.shape[0]):
        _forward_plane(x[m], W, half, scale, beta, y[m])


@kernel
def _backward_plane(x: Array, dy: Array, W: int, half: int, scale: float, beta: float, dx: Array) -> None:
    """As `backward_within`, for one plane."""
    p, s = np.empty_like(x), np.empty_like(x)
    _plane_sizes(x, W, half, scale, p, s)
    _negative_power(s, beta, p)
    for i in range(x.size):
        direct = dy[i] * p[i]
        p[i] = direct * x[i] / s[i]
        dx[i] = direct
    _box_sums(p, W, half, s)
    factor = x.dtype.type(2 * scale * beta)
    for i in range(x.size):
        dx[i] -= factor * x[i] * s[i]


@parallel_kernel
def backward_within(x: Array, dy: Array, W: int, half: int, scale: float, beta: float, dx: Array) -> None:
    """dx[m, h, w] = dy S^-beta - 2 scale beta x * (sum of dy x S^-beta / S about (h, w)).

    S and the sum's range as in `forward_within`. x, dy, dx: (M, H W); dx may be dy.
    """
    for m in prange(x.shape[0]):
        _backward_plane(x[m], dy[m], W, half, scale, beta, dx[m])
