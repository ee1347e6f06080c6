"""Parts of tensors, by place or by size of their values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import Node, operator
from pycaffe_lite.export.importing.operators.layout import part_of, reshaped
from pycaffe_lite.export.importing.operators.padding import moved, rows_of
from pycaffe_lite.export.importing.operators.resizing import along_axis
from pycaffe_lite.export.importing.values import View


@operator("Slice")
def cut(node: Node) -> View:
    """What lies between two places of each axis, every so many steps."""
    net, view = node.net, node.view()
    starts, ends = node.setting("starts", 1), node.setting("ends", 2)
    axes = node.setting("axes", 3) or list(range(len(starts)))
    steps = node.setting("steps", 4) or [1] * len(starts)
    strided: dict[int, tuple[int, int]] = {}
    for start, end, axis, step in zip(starts, ends, (node.axis(int(a)) for a in axes), steps, strict=True):
        places = range(view.shape[axis])[
            slice(_place(start, view.shape[axis]), _place(end, view.shape[axis]), step)
        ]
        if step > 1 and len(view.shape) == 4 and view.is_plain and axis in (2, 3) and len(places) > 1:
            strided[axis] = places[0], step
            if places[-1] + step < view.shape[axis]:
                view = part_of(net, view, axis, 0, places[-1] + 1)
        elif step == 1:
            view = part_of(net, view, axis, places[0], places[-1] + 1)
        else:
            view = rows_of(net, view, axis, list(places))
    return _strided(net, view, strided) if strided else view


def _place(place: int, size: int) -> int | None:
    """A place as Python slices have it: None before the beginning of an axis that is walked backward."""
    return None if place < -size else place


def _strided(net: CaffeNet, view: View, steps: dict[int, tuple[int, int]]) -> View:
    """Every so many pixels of height and width: a convolution of each channel by a kernel with a single 1."""
    (top, down), (left, right) = steps.get(2, (0, 1)), steps.get(3, (0, 1))
    kernel = np.zeros((top + 1, left + 1), np.float32)
    kernel[-1, -1] = 1
    blob = moved(net, net.plain(view), kernel, (0, 0), (down, right))
    return View.of(blob, net.shapes[blob])


@operator("Gather")
def gather(node: Node) -> View:
    """Rows of a tensor by their numbers; of a constant table by numbers that are computed: Embed."""
    net = node.net
    axis = node.axis(node.attribute("axis", 0))
    table, rows = node.inputs[0], node.inputs[1]
    if isinstance(rows, np.ndarray):
        view = node.view()
        size = view.shape[axis]
        numbers = [int(row) % size for row in rows.ravel() if -size <= row < size]
        if len(numbers) != rows.size:
            raise InexpressibleError(f"it picks a row that axis {axis} of size {size} does not have")
        return reshaped(net, rows_of(net, view, axis, numbers), node.shape())
    if table is None or rows is None:
        raise InexpressibleError("an input is missing")
    if axis != 0 or (isinstance(table, View) and len(rows.shape) != 1):
        raise InexpressibleError("it picks from another axis than the first by numbers that are computed")
    if isinstance(table, View):
        picked = net.one("BatchReindex", [net.plain(table), net.plain(rows)], node.shape())
        return View.of(picked, node.shape())
    flat = table.reshape(len(table), -1).astype(np.float32)
    param = {"num_output": flat.shape[1], "input_dim": len(flat), "bias_term": False}
    blob = net.plain(rows)
    top = net.one("Embed", blob, (*rows.shape, flat.shape[1]), weights=[flat], main=True, embed_param=param)
    return View.of(net.reshape(top, node.shape()), node.shape())


@operator("ArgMax", "ArgMin")
def arg_max(node: Node) -> View:
    """Where the greatest, or the least, value of an axis is."""
    net, view = node.net, node.view()
    axis = node.axis(node.attribute("axis", 0))
    if node.op == "ArgMin":
        view = net.power(view, scale=-1)
    is_last = bool(node.attribute("select_last_index", 0))
    top = _best(net, view, axis, 1, values=False, is_last=is_last)
    if not node.attribute("keepdims", 1):
        return View(top.blob, top.axes[:axis] + top.axes[axis + 1 :])
    return top


@operator("TopK")
def top_k(node: Node) -> list[View | None]:
    """The greatest values of an axis, and where they are."""
    net, view = node.net, node.view()
    axis = node.axis(node.attribute("axis", -1))
    count = node.shape()[axis]
    sign = 1 if node.attribute("largest", 1) else -1
    view = net.power(view, scale=sign)
    values = net.power(_best(net, view, axis, count, values=True), scale=sign) if node.is_used(0) else None
    places = _best(net, view, axis, count, values=False, is_last=False) if node.is_used(1) else None
    return [values, places]


def _best(net: CaffeNet, view: View, axis: int, count: int, *, values: bool, is_last: bool = True) -> View:
    """The greatest values of an axis, or where they are; of equal ones the last (Caffe's) or the first."""
    place, size = view.place_of(axis), view.shape[axis]
    if place is None:
        view, place = net.plain_view(view), axis
    if not values and not is_last and size > 1:
        turned = along_axis(net, View.of(net.as_dims(view), view.dims), place, np.eye(size)[::-1])
        last = _best(net, view.with_blob(turned.blob), axis, count, values=False)
        return net.power(last, scale=-1, shift=size - 1)
    blob = net.as_dims(view)
    shape = list(net.shapes[blob])
    shape[place] = count
    param: dict[str, object] = {"axis": place}
    param |= {"top_k": count} if count != 1 else {}
    param |= {"out_max_val": True} if values else {}
    blob = net.one("ArgMax", blob, tuple(shape), argmax_param=param)
    return View(blob, view.resized(axis, count))


@operator("ReverseSequence")
def reverse(node: Node) -> View:
    """An axis the other way round, if all items are as long as it."""
    view = node.view()
    axis = node.attribute("time_axis", 0)
    lengths: Sequence[int] = node.constant(1, "sequence_lens").tolist()
    if any(n != view.shape[axis] for n in lengths):
        raise InexpressibleError("it turns parts of an axis round")
    return rows_of(node.net, view, axis, list(range(view.shape[axis]))[::-1])
