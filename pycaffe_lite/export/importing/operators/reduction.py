"""Sums, means and extremes along axes, by Caffe's Pooling: a window over all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import Node, operator
from pycaffe_lite.export.importing.values import View


def summed(net: CaffeNet, view: View, axes: Sequence[int], *, keep: bool, mean: bool = False) -> View:
    """The sum, or the mean, over axes of a tensor; keep: whether they stay, with the size 1."""
    count = math.prod(view.shape[axis] for axis in axes)
    result = reduced(net, view, axes, "AVE", keep)
    return result if mean else net.power(result, scale=count)


def _pooled(net: CaffeNet, view: View, axes: Sequence[int], method: str, keep: bool) -> View:
    """Pooling over axes: one after another unless they lie together in the blob."""
    for run in _runs(net, view, axes):
        view = _pooled_run(net, view, run, method)
    if keep:
        return view
    left = [axis for i, axis in enumerate(view.axes) if i not in axes]
    return View(view.blob, tuple(left))


def _runs(net: CaffeNet, view: View, axes: Sequence[int]) -> list[list[int]]:
    """The axes in groups that lie together in the blob; empty ones, of size 1, are left out."""
    places = {axis: view.place_of(axis) for axis in axes if view.shape[axis] > 1}
    if None in places.values():
        raise _ScatteredError
    runs: list[list[int]] = []
    last = None
    for axis in sorted(places, key=lambda axis: places[axis] or 0):
        place = places[axis] or 0
        between = view.dims[(last or 0) + 1 : place] if last is not None else (2,)
        if runs and math.prod(between) == 1:
            runs[-1].append(axis)
        else:
            runs.append([axis])
        last = place
    return runs


class _ScatteredError(Exception):
    """An axis is made of several pieces of the blob."""


def _pooled_run(net: CaffeNet, view: View, axes: Sequence[int], method: str) -> View:
    """Pooling over axes that lie together: (N, before, them, behind) by a window as high as they are."""
    dims = view.dims
    places = [view.place_of(axis) or 0 for axis in axes]
    first, last = min(places), max(places) + 1
    count, inner = math.prod(dims[first:last]), math.prod(dims[last:])
    param: dict[str, object] = {} if method == "MAX" else {"pool": method}
    if first >= 2 and inner == 1 and len(dims) == 4 and first == 2:
        blob = net.as_dims(view)
        blob = net.one(
            "Pooling", blob, (*dims[:2], 1, 1), main=True, pooling_param=param | {"global_pooling": True}
        )
    else:
        outer = math.prod(dims[:first])
        batch = dims[0] if first else 1
        blob = net.reshape(view.blob, (batch, outer // batch, count, inner))
        param |= {"kernel_h": count, "kernel_w": 1}
        blob = net.one("Pooling", blob, (batch, outer // batch, 1, inner), main=True, pooling_param=param)
    for axis in axes:
        view = View(view.blob, view.resized(axis, 1))
    return view.with_blob(blob)


def reduced(net: CaffeNet, view: View, axes: Sequence[int], method: str, keep: bool) -> View:
    """The mean or the greatest value over axes."""
    try:
        return _pooled(net, view, axes, method, keep)
    except _ScatteredError:
        return _pooled(net, net.plain_view(view), axes, method, keep)


@operator(
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSum",
    "ReduceLogSumExp",
)
def reduce(node: Node) -> View:
    """A sum, a mean, an extreme or a norm over axes."""
    net, x, op = node.net, node.view(), node.op
    axes = node.setting("axes", 1)
    if not axes:
        if node.attribute("noop_with_empty_axes", 0):
            return x
        axes = list(range(len(x.shape)))
    axes = sorted(node.axis(int(axis)) for axis in axes)
    keep = bool(node.attribute("keepdims", 1))
    if op in ("ReduceMax", "ReduceMin"):
        sign = 1 if op == "ReduceMax" else -1
        return net.power(reduced(net, net.power(x, scale=sign), axes, "MAX", keep), scale=sign)
    if op in ("ReduceL2", "ReduceSumSquare"):
        x = net.power(x, power=2)
    elif op == "ReduceL1":
        x = net.same(x, "AbsVal")
    elif op == "ReduceLogSumExp":
        x = net.same(x, "Exp")
    elif op not in ("ReduceMean", "ReduceSum", "ReduceLogSum"):
        raise InexpressibleError("there are no layers for this reduction")
    y = reduced(net, x, axes, "AVE", keep)
    if op != "ReduceMean":
        y = net.power(y, scale=math.prod(x.shape[axis] for axis in axes))
    if op == "ReduceL2":
        return net.power(y, power=0.5)
    return net.same(y, "Log") if op in ("ReduceLogSum", "ReduceLogSumExp") else y
