"""Pictures read between their pixels: at places of a flow, of an affine grid, or on a grid of another size.

x: (N, C, H, W). Sums are kept in the arrays' type unless said otherwise.
"""

import math

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, kernel, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory, workers_for

LINEAR, CUBIC = 0, 1


# ------------------------------------------------------------------------------ along a flow: FlowWarp's


@kernel
def _flow_place(flow: Array, n: int, h: int, w: int, H: int, W: int) -> tuple[bool, int, int, float, float]:
    """Where the value of (h, w) comes from: whether that is inside, the pixel before, the parts beyond it."""
    at_w = flow.dtype.type(w) + flow[n, 0, h, w]
    at_h = flow.dtype.type(h) + flow[n, 1, h, w]
    if not (at_w >= 0 and at_h >= 0 and at_w < W and at_h < H):
        return False, 0, 0, at_h, at_w
    row, column = int(at_h), int(at_w)
    return True, row, column, at_h - flow.dtype.type(row), at_w - flow.dtype.type(column)


def warp(x: Array, flow: Array, outside: float, y: Array) -> None:
    """y[n, c, h, w] = x[n, c] at row h + flow[n, 1, h, w] and column w + flow[n, 0, h, w].

    Between pixels, values are bilinear; after the last ones they repeat; outside of the
    picture they are `outside`.  flow: (N, 2, H, W).
    """
    _warp(no_memory(x.dtype, workers_for(x.size)), x, flow, float(outside), y)


@worker_kernel
def _warp(x: Array, flow: Array, outside: float, y: Array, tasks: Tasks, _memory: Array) -> None:
    N, C, H, W = x.shape
    one = x.dtype.type(1)
    task = take_task(tasks, N * H)
    while task < N * H:
        n, h = task // H, task % H
        task = take_task(tasks, N * H)
        for w in range(W):
            inside, row, column, down, right = _flow_place(flow, n, h, w, H, W)
            if not inside:
                for c in range(C):
                    y[n, c, h, w] = outside
                continue
            below, after = min(row + 1, H - 1), min(column + 1, W - 1)
            b, a = x.dtype.type(down), x.dtype.type(right)
            for c in range(C):
                plane = x[n, c]
                y[n, c, h, w] = (
                    (one - a) * (one - b) * plane[row, column]
                    + a * (one - b) * plane[row, after]
                    + (one - a) * b * plane[below, column]
                    + a * b * plane[below, after]
                )


def warp_backward(x: Array, flow: Array, dy: Array, dx: Array, dflow: Array) -> None:
    """Gradients of `warp`; dx or dflow may be empty, if it is not wanted.  Places outside get 0."""
    _warp_backward(no_memory(x.dtype, workers_for(x.size)), x, flow, dy, dx, dflow)


@worker_kernel
def _warp_backward(
    x: Array, flow: Array, dy: Array, dx: Array, dflow: Array, tasks: Tasks, _memory: Array
) -> None:
    N, C, H, W = x.shape
    one = x.dtype.type(1)
    n = take_task(tasks, N)
    while n < N:
        if dx.size:
            dx[n] = 0
        if dflow.size:
            dflow[n] = 0
        for h in range(H):
            for w in range(W):
                inside, row, column, down, right = _flow_place(flow, n, h, w, H, W)
                if not inside:
                    continue
                below, after = min(row + 1, H - 1), min(column + 1, W - 1)
                b, a = x.dtype.type(down), x.dtype.type(right)
                along_w, along_h = 0.0, 0.0
                for c in range(C):
                    d, plane = dy[n, c, h, w], x[n, c]
                    if dx.size:
                        dx[n, c, row, column] += d * (one - a) * (one - b)
                        dx[n, c, row, after] += d * a * (one - b)
                        dx[n, c, below, column] += d * (one - a) * b
                        dx[n, c, below, after] += d * a * b
                    along_w += d * (
                        (one - b) * (plane[row, after] - plane[row, column])
                        + b * (plane[below, after] - plane[below, column])
                    )
                    along_h += d * (
                        (one - a) * (plane[below, column] - plane[row, column])
                        + a * (plane[below, after] - plane[row, after])
                    )
                if dflow.size:
                    dflow[n, 0, h, w] = along_w
                    dflow[n, 1, h, w] = along_h
        n = take_task(tasks, N)


# ---------------------------------------------------------- on an affine grid: SpatialTransformer's


@kernel
def _grid_place(theta: Array, h: int, w: int, P: int, Q: int, H: int, W: int) -> tuple[float, float]:
    """The row and column of x where output (h, w) comes from: -1 to 1 along both axes, mapped by theta."""
    s, t = 2.0 * h / P - 1.0, 2.0 * w / Q - 1.0
    at_h = (theta[0] * s + theta[1] * t + theta[2] + 1.0) / 2.0 * H
    at_w = (theta[3] * s + theta[4] * t + theta[5] + 1.0) / 2.0 * W
    return at_h, at_w


@kernel
def _inside(row: float, column: float, H: int, W: int) -> bool:
    return row >= 0 and row < H and column >= 0 and column < W


def transform(x: Array, theta: Array, y: Array) -> None:
    """y[n, c, h, w] = x[n, c] at the place that theta[n] maps (h, w) to, bilinear; outside counts as 0.

    theta: (N, 6), float64, the rows of a 2 x 3 matrix that gives row and column of (row, column, 1).
    """
    _transform(no_memory(x.dtype, workers_for(y.size)), x, theta, y)


@worker_kernel
def _transform(x: Array, theta: Array, y: Array, tasks: Tasks, _memory: Array) -> None:
    N, C, H, W = x.shape
    P, Q = y.shape[2], y.shape[3]
    task = take_task(tasks, N * P)
    while task < N * P:
        n, h = task // P, task % P
        task = take_task(tasks, N * P)
        for w in range(Q):
            at_h, at_w = _grid_place(theta[n], h, w, P, Q, H, W)
            top, left = math.floor(at_h), math.floor(at_w)
            for c in range(C):
                total = 0.0
                for i in range(2):
                    for k in range(2):
                        row, column = top + i, left + k
                        if _inside(row, column, H, W):
                            weight = (1.0 - abs(at_h - row)) * (1.0 - abs(at_w - column))
                            total += weight * x[n, c, int(row), int(column)]
                y[n, c, h, w] = total


def transform_backward(x: Array, theta: Array, dy: Array, dx: Array, dtheta: Array) -> None:
    """Gradients of `transform`; dx may be empty, if it is not wanted.  dtheta: (N, 6), float64."""
    _transform_backward(no_memory(x.dtype, workers_for(dy.size)), x, theta, dy, dx, dtheta)


@worker_kernel
def _transform_backward(
    x: Array, theta: Array, dy: Array, dx: Array, dtheta: Array, tasks: Tasks, _memory: Array
) -> None:
    N, C, H, W = x.shape
    P, Q = dy.shape[2], dy.shape[3]
    n = take_task(tasks, N)
    while n < N:
        dtheta[n] = 0
        if dx.size:
            dx[n] = 0
        for h in range(P):
            for w in range(Q):
                at_h, at_w = _grid_place(theta[n], h, w, P, Q, H, W)
                top, left = math.floor(at_h), math.floor(at_w)
                along_h, along_w = 0.0, 0.0
                for i in range(2):
                    for k in range(2):
                        row, column = top + i, left + k
                        if not _inside(row, column, H, W):
                            continue
                        near_h, near_w = 1.0 - abs(at_h - row), 1.0 - abs(at_w - column)
                        for c in range(C):
                            d = dy[n, c, h, w]
                            value = d * x[n, c, int(row), int(column)]
                            along_h += (near_w if i else -near_w) * value
                            along_w += (near_h if k else -near_h) * value
                            if dx.size:
                                dx[n, c, int(row), int(column)] += near_h * near_w * d
                s, t = 2.0 * h / P - 1.0, 2.0 * w / Q - 1.0
                along_h *= H / 2.0
                along_w *= W / 2.0
                dtheta[n, 0] += along_h * s
                dtheta[n, 1] += along_h * t
                dtheta[n, 2] += along_h
                dtheta[n, 3] += along_w * s
                dtheta[n, 4] += along_w * t
                dtheta[n, 5] += along_w
        n = take_task(tasks, N)


# ------------------------------------------------------ on a grid of another size: Resample, Downsample


@kernel
def _coefficient(kind: int, distance: float) -> float:
    """How much a value at this distance counts: a triangle, or the cubic with a slope of -1/2 at 1."""
    d = abs(distance)
    if kind == LINEAR:
        return max(0.0, 1.0 - d)
    if d <= 1.0:
        return d * d * (1.5 * d - 2.5) + 1.0
    if d < 2.0:
        return d * (d * (-0.5 * d + 2.5) - 4.0) + 2.0
    return 0.0


def resample(
    x: Array, kind: int, rows: Array, columns: Array, shrink_h: float, shrink_w: float, reach_h: int,
    reach_w: int, y: Array,
) -> None:  # fmt: skip
    """y[n, p, q] = the weighted mean of the values of x[n] around row rows[p] and column columns[q].

    The weight of a pixel is the coefficient of its distance over shrink_h, times that along the width. Pixels
    count up to reach_h and reach_w from the one next to the place.  x: (planes, H, W). y: (planes, P, Q).
    rows: (P,), columns: (Q,), float32.
    """
    memory = no_memory(x.dtype, workers_for(y.size))
    _resample(memory, x, kind, rows, columns, float(shrink_h), float(shrink_w), int(reach_h), int(reach_w), y)


@worker_kernel
def _resample(
    x: Array, kind: int, rows: Array, columns: Array, shrink_h: float, shrink_w: float, reach_h: int,
    reach_w: int, y: Array, tasks: Tasks, _memory: Array,
) -> None:  # fmt: skip
    planes, H, W = x.shape
    n = take_task(tasks, planes)
    while n < planes:
        for p in range(y.shape[1]):
            middle_h = math.floor(rows[p] + 0.5) if rows[p] >= 0 else -math.floor(0.5 - rows[p])
            for q in range(y.shape[2]):
                at = columns[q]
                middle_w = math.floor(at + 0.5) if at >= 0 else -math.floor(0.5 - at)
                total, weights = 0.0, 0.0
                for h in range(max(0, middle_h - reach_h), min(H - 1, middle_h + reach_h) + 1):
                    of_row = _coefficient(kind, (rows[p] - h) / shrink_h)
                    for w in range(max(0, middle_w - reach_w), min(W - 1, middle_w + reach_w) + 1):
                        weight = of_row * _coefficient(kind, (at - w) / shrink_w)
                        total += weight * x[n, h, w]
                        weights += weight
                y[n, p, q] = total / weights if weights != 0 else 0.0
        n = take_task(tasks, planes)


def downsample(x: Array, rows: Array, columns: Array, scale_h: float, scale_w: float, y: Array) -> None:
    """y[n, p, q] = the mean of the values around a place, by their nearness; NaN do not count.

    Weights fall from 1 to 0 at a distance of scale_h and scale_w. Where more than half of the others' weight
    is that of NaN, y is NaN.  x: (planes, H, W). rows: (P,), columns: (Q,), the places. y: (planes, P, Q).
    """
    memory = no_memory(x.dtype, workers_for(y.size))
    _downsample(memory, x, rows, columns, float(scale_h), float(scale_w), y)


@worker_kernel
def _downsample(
    x: Array, rows: Array, columns: Array, scale_h: float, scale_w: float, y: Array, tasks: Tasks,
    _memory: Array,
) -> None:  # fmt: skip
    planes, H, W = x.shape
    reach_h, reach_w = math.ceil(scale_h), math.ceil(scale_w)
    n = take_task(tasks, planes)
    while n < planes:
        for p in range(y.shape[1]):
            middle_h = math.floor(rows[p] + 0.5)
            for q in range(y.shape[2]):
                middle_w = math.floor(columns[q] + 0.5)
                total, weights, lost = 0.0, 0.0, 0.0
                for h in range(max(0, middle_h - reach_h), min(H - 1, middle_h + reach_h) + 1):
                    of_row = max(0.0, 1.0 - abs(h - rows[p]) / scale_h)
                    for w in range(max(0, middle_w - reach_w), min(W - 1, middle_w + reach_w) + 1):
                        weight = of_row * max(0.0, 1.0 - abs(w - columns[q]) / scale_w)
                        value = x[n, h, w]
                        if value == value:
                            total += value * weight
                            weights += weight
                        else:
                            lost += weight
                if weights == 0 or lost / weights > 0.5:
                    y[n, p, q] = np.nan
                else:
                    y[n, p, q] = total / weights
        n = take_task(tasks, planes)
