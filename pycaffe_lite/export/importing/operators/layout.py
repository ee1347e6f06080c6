"""Operators that bring values into another order or shape, or put them side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import Node, operator
from pycaffe_lite.export.importing.values import View


@operator("Transpose")
def transpose(node: Node) -> View:
    """Another order of the axes: no layer, until somebody needs the values in that order."""
    view = node.view()
    order = node.attribute("perm") or list(range(len(view.shape)))[::-1]
    return view.transposed(order)


@operator("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(node: Node) -> View:
    """Another shape."""
    return reshaped(node.net, node.view(), node.shape())


def reshaped(net: CaffeNet, view: View, shape: Sequence[int]) -> View:
    """The tensor in another shape; its values are put in order only where the shape needs it."""
    if math.prod(shape) != view.count:
        raise InexpressibleError(f"it makes the shape {tuple(shape)} of {view.shape}")
    return view.reshaped(shape) or View.of(net.reshape(net.plain(view), shape), shape)


@operator("Expand")
def expand(node: Node) -> View:
    """Repeated to a shape."""
    return node.net.expanded(node.view(), node.shape())


@operator("Tile")
def tile(node: Node) -> View:
    """Repeated along each axis."""
    repeats = node.setting("repeats", 1)
    if node.opset < 6:
        raise InexpressibleError(
            "this version of the operator repeats one axis only", "export with a newer opset"
        )
    view = node.view()
    for axis, tiles in enumerate(repeats):
        view = node.net.tile(view, axis, int(tiles))
    return view


@operator("Concat")
def concat(node: Node) -> View:
    """Tensors one behind another along an axis."""
    views = [node.view(i) for i in range(len(node.inputs))]
    return concatenated(node.net, views, node.axis(node.attribute("axis", 1)))


def concatenated(net: CaffeNet, views: Sequence[View], axis: int) -> View:
    """Tensors one behind another, in the order that their blobs have if it is the same."""
    place = views[0].place_of(axis)
    if place is None or not all(view.has_order_of(views[0], but=axis) for view in views):
        blobs = [net.plain(view) for view in views]
        blob = net.concat(blobs, axis)
        return View.of(blob, net.shapes[blob])
    blob = net.concat([net.as_dims(view) for view in views], place)
    return View(blob, views[0].resized(axis, sum(view.shape[axis] for view in views)))


@operator("Split")
def split(node: Node) -> list[View | None]:
    """A tensor cut into parts along an axis."""
    axis = node.axis(node.attribute("axis", 0))
    return list(
        parts_of(node.net, node.view(), axis, [node.shape(i)[axis] for i in range(len(node.outputs))])
    )


def parts_of(net: CaffeNet, view: View, axis: int, sizes: Sequence[int]) -> list[View]:
    """The tensor cut along an axis, in the order that its blob has if an axis of that is cut."""
    place = view.place_of(axis)
    if place is None:
        view, place = net.plain_view(view), axis
    blobs = net.slices(net.as_dims(view), place, sizes)
    return [View(blob, view.resized(axis, size)) for blob, size in zip(blobs, sizes, strict=True)]


def part_of(net: CaffeNet, view: View, axis: int, start: int, end: int) -> View:
    """What lies from `start` up to `end` along an axis."""
    size = view.shape[axis]
    sizes = [n for n in (start, end - start, size - end) if n]
    return parts_of(net, view, axis, sizes)[1 if start else 0]


@operator("DepthToSpace")
def depth_to_space(node: Node) -> View:
    """Channels become pixels: a Deconvolution whose kernel moves each channel to its place."""
    net, view, size = node.net, node.view(), node.attribute("blocksize")
    channels, shape = view.shape[1], node.shape()
    made = shape[1]
    kernel = np.zeros((channels, made, size, size), np.float32)
    for c in range(made):
        for y in range(size):
            for x in range(size):
                is_crd = node.attribute("mode", "DCR") == "CRD"
                source = (c * size + y) * size + x if is_crd else (y * size + x) * made + c
                kernel[source, c, y, x] = 1
    param = {"num_output": made, "bias_term": False, "kernel_size": [size], "stride": [size]}
    if node.attribute("mode", "DCR") == "CRD":
        param["group"] = made
        kernel = np.stack([kernel[i, i // size**2][np.newaxis] for i in range(channels)])
    top = net.one(
        "Deconvolution", net.plain(view), shape, weights=[kernel], main=True, convolution_param=param
    )
    return View.of(top, shape)


@operator("SpaceToDepth")
def space_to_depth(node: Node) -> View:
    """Pixels become channels: a Convolution whose kernel moves each pixel to its place."""
    net, view, size = node.net, node.view(), node.attribute("blocksize")
    channels, shape = view.shape[1], node.shape()
    is_crd = node.attribute("mode", "DCR") == "CRD"
    kernel = np.zeros((shape[1], channels, size, size), np.float32)
    for c in range(channels):
        for y in range(size):
            for x in range(size):
                made = (c * size + y) * size + x if is_crd else (y * size + x) * channels + c
                kernel[made, c, y, x] = 1
    param = {"num_output": shape[1], "bias_term": False, "kernel_size": [size], "stride": [size]}
    top = net.one("Convolution", net.plain(view), shape, weights=[kernel], main=True, convolution_param=param)
    return View.of(top, shape)
