"""Padding, by layers that have none: a convolution that moves pixels, or slices put side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import Node, operator
from pycaffe_lite.export.importing.operators.layout import concatenated, part_of, parts_of
from pycaffe_lite.export.importing.values import Array, View

_MOST_ROWS = 256


def moved(net: CaffeNet, blob: str, kernel: Array, pad: Sequence[int], stride: Sequence[int]) -> str:
    """A convolution of each channel of a (N, C, H, W) blob by one kernel."""
    n, channels, *sizes = net.shapes[blob]
    weights = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
    shape = [
        (size + 2 * p - k) // s + 1 for size, p, k, s in zip(sizes, pad, kernel.shape, stride, strict=True)
    ]
    param = {"num_output": channels, "bias_term": False, "group": channels, "kernel_size": list(kernel.shape)}
    if any(pad):
        param["pad"] = list(pad)
    if any(s != 1 for s in stride):
        param["stride"] = list(stride)
    return net.one("Convolution", blob, (n, channels, *shape), weights=[weights], convolution_param=param)


def padded(net: CaffeNet, view: View, widths: Mapping[int, tuple[int, int]], value: float = 0.0) -> View:
    """The tensor with a constant around it.

    A convolution of each channel by a kernel that holds a single 1 pads with zeros; the kernel is longer on
    one side where the two ends differ.

    Args:
        net: where layers go. view: the tensor. widths: before and behind an axis. value: the constant.
    """
    widths = {axis: both for axis, both in widths.items() if any(both)}
    if not widths:
        return view
    if any(n < 0 for both in widths.values() for n in both):
        for axis, (before, behind) in widths.items():
            start, end = max(-before, 0), view.shape[axis] - max(-behind, 0)
            if end <= start:
                raise InexpressibleError("it cuts off all there is")
            view = part_of(net, view, axis, start, end)
        rest = {axis: (max(before, 0), max(behind, 0)) for axis, (before, behind) in widths.items()}
        return padded(net, view, rest, value)
    places = {axis: view.place_of(axis) for axis in widths}
    if None in places.values():
        view = net.plain_view(view)
        places = {axis: axis for axis in widths}
    if value:
        view = net.power(view, shift=-value)
    blob = source = net.as_dims(view)
    by_place = {places[axis] or 0: width for axis, width in widths.items()}
    if len(net.shapes[blob]) == 4 and by_place.keys() <= {2, 3}:
        across, along = by_place.get(2, (0, 0)), by_place.get(3, (0, 0))
        kernel = np.outer(_shift(across), _shift(along))
        blob = moved(net, blob, kernel, (max(across), max(along)), (1, 1))
    else:
        for place, width in by_place.items():
            blob = _padded_axis(net, blob, place, width)
    for axis, width in widths.items():
        view = View(blob, view.resized(axis, view.shape[axis] + sum(width)))
    if not value:
        net.paddings[blob] = source, by_place
    return net.power(view, shift=value) if value else view


def _shift(width: tuple[int, int]) -> Array:
    """A kernel that holds a single 1: at its end where more is added behind, so that it begins with zeros."""
    before, behind = width
    kernel = np.zeros(1 + abs(before - behind), np.float32)
    kernel[0 if before > behind else -1] = 1
    return kernel


def _padded_axis(net: CaffeNet, blob: str, axis: int, width: tuple[int, int]) -> str:
    """Zeros before and behind an axis of a blob, which is seen as (1, channels, size, rest) for it."""
    shape = net.shapes[blob]
    before, behind = width
    outer, inner = math.prod(shape[1:axis]), math.prod(shape[axis + 1 :])
    flat = net.reshape(blob, (shape[0], outer, shape[axis], inner) if axis else (1, 1, shape[0], inner))
    top = moved(net, flat, _shift(width)[:, np.newaxis], (max(width), 0), (1, 1))
    return net.reshape(top, (*shape[:axis], shape[axis] + before + behind, *shape[axis + 1 :]))


@operator("Pad")
def pad(node: Node) -> View:
    """Constants, or the tensor's own values again, around a tensor."""
    net, view = node.net, node.view()
    rank = len(view.shape)
    widths = node.attribute("paddings") or node.setting("pads", 1)  # the first in opset 1
    axes = [node.axis(axis) for axis in node.setting("axes", 3)] if node.has(3) else list(range(rank))
    if widths is None or len(widths) != 2 * len(axes):
        raise InexpressibleError("its pads do not fit its input")
    pads = {
        axis: (int(before), int(behind))
        for axis, before, behind in zip(axes, widths[: len(axes)], widths[len(axes) :], strict=True)
        if before or behind
    }
    mode = node.attribute("mode", "constant")
    if mode == "constant":
        value = node.setting("value", 2, 0.0)
        value = float(np.asarray(0.0 if value is None else value).ravel()[0])
        if not np.isfinite(value):
            raise InexpressibleError("it pads with infinity", "pad inside the pooling layer that follows")
        return padded(net, view, pads, value)
    for axis, (before, behind) in pads.items():
        view = _mirrored(net, view, axis, before, behind, mode)
    return view


def _mirrored(net: CaffeNet, view: View, axis: int, before: int, behind: int, mode: str) -> View:
    """Rows of the tensor itself before and behind it: its edge, its mirror image, or its other end."""
    size = view.shape[axis]
    if before < 0 or behind < 0 or before + behind > _MOST_ROWS:
        raise InexpressibleError(f"it pads an axis by {before} and {behind} of its own values")
    if mode == "reflect":
        first, last = list(range(before, 0, -1)), list(range(size - 2, size - 2 - behind, -1))
    elif mode == "edge":
        first, last = [0] * before, [size - 1] * behind
    elif mode == "wrap":
        first, last = list(range(size - before, size)), list(range(behind))
    else:
        raise InexpressibleError(f"it has the unknown mode '{mode}'")
    if any(not 0 <= row < size for row in (*first, *last)):
        raise InexpressibleError("it pads by more than there is")
    return rows_of(net, view, axis, [*first, *range(size), *last])


def rows_of(net: CaffeNet, view: View, axis: int, rows: Sequence[int]) -> View:
    """The rows of such numbers along an axis, one behind another; any may come several times."""
    size = view.shape[axis]
    runs: list[tuple[int, int]] = []
    for row in rows:  # neighbours that follow each other stay together
        if runs and runs[-1][1] == row:
            runs[-1] = (runs[-1][0], row + 1)
        else:
            runs.append((row, row + 1))
    cuts = sorted({0, size, *(end for run in runs for end in run)})
    pieces = list(pairwise(cuts))
    if len(pieces) > 4 * _MOST_ROWS or len(runs) > 4 * _MOST_ROWS:
        raise InexpressibleError(f"it picks {len(rows)} single rows of {size}")
    views = dict(zip(pieces, parts_of(net, view, axis, [b - a for a, b in pieces]), strict=True))
    chosen = [views[piece] for run in runs for piece in pieces if run[0] <= piece[0] < run[1]]
    return concatenated(net, chosen, axis)
