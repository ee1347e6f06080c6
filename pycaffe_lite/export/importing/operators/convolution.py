"""Convolutions and their transposes, with all the paddings that Caffe lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pycaffe_lite.export.importing.caffe_net import InexpressibleError
from pycaffe_lite.export.importing.node import Node, operator
from pycaffe_lite.export.importing.operators.padding import padded
from pycaffe_lite.export.importing.values import Array, View

# A kernel that zeros make longer than this is a mistake.
_MOST_WEIGHTS = 2**28


def pads_of(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> list[tuple[int, int]]:
    """The padding before and behind each spatial axis, as the node says or as its auto_pad makes it."""
    axes = len(kernel)
    stride, dilation = strides_of(node, axes)
    auto = node.attribute("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pads = []
        for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
            total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            half = total // 2
            pads.append((half, total - half) if auto == "SAME_UPPER" else (total - half, half))
        return pads
    if auto == "VALID":
        return [(0, 0)] * axes
    given = node.attribute("pads") or [0] * (2 * axes)
    if len(given) != 2 * axes:
        raise InexpressibleError(f"it has {len(given)} pads for {axes} axes")
    return list(zip(given[:axes], given[axes:], strict=True))


def strides_of(node: Node, axes: int) -> tuple[list[int], list[int]]:
    """The stride and the dilation along each spatial axis."""
    return node.attribute("strides") or [1] * axes, node.attribute("dilations") or [1] * axes


def _repeated(name: str, values: Sequence[int], default: int | None = None) -> dict[str, list[int]]:
    """A field of ConvolutionParameter that is given once if it is the same for all axes."""
    if all(value == default for value in values):
        return {}
    return {name: [values[0]] if len(set(values)) == 1 else list(values)}


def _param(
    outputs: int,
    kernel: Sequence[int],
    pad: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    group: int,
) -> dict[str, Any]:
    param: dict[str, Any] = {"num_output": outputs}
    param |= _repeated("pad", pad, 0) | _repeated("kernel_size", kernel)
    param |= _repeated("stride", stride, 1) | _repeated("dilation", dilation, 1)
    return param | ({"group": group} if group != 1 else {})


def _widened(weights: Array, axis: int, before: int, behind: int) -> Array:
    """A kernel with zeros before and behind it along a spatial axis."""
    widths = [(0, 0)] * weights.ndim
    widths[axis + 2] = (before, behind)
    longer = weights.size // weights.shape[axis + 2] * (weights.shape[axis + 2] + before + behind)
    if longer > _MOST_WEIGHTS:
        raise InexpressibleError(f"its two ends are padded by numbers that differ by {before + behind}")
    return np.pad(weights, widths)


@operator("Conv")
def convolution(node: Node) -> View:
    """A convolution.

    Caffe pads both ends of an axis alike. Where the model does not, the padding is the larger one on both
    ends, and the kernel gets zeros where that is too much: at its beginning, say, if more is padded behind.
    """
    net, x = node.net, node.view()
    if not isinstance(node.inputs[1], np.ndarray):
        raise InexpressibleError("its weights are computed from the net's input")
    weights = node.constant(1, "weights").astype(np.float32)
    axes = weights.ndim - 2
    if axes < 1 or len(x.shape) != weights.ndim:
        raise InexpressibleError(f"it has weights of shape {weights.shape} for an input of shape {x.shape}")
    group = node.attribute("group", 1)
    if weights.shape[1] * group != x.shape[1] or len(weights) % group:
        raise InexpressibleError(
            f"it has weights of shape {weights.shape} in {group} groups for an input of shape {x.shape}"
        )
    pads = pads_of(node, x.shape[2:], weights.shape[2:])
    if any(pad < 0 for both in pads for pad in both):
        raise InexpressibleError("it has negative pads", "cut the input instead")
    stride, dilation = strides_of(node, axes)
    source, zeros_around = net.unpadded(x)
    if zeros_around and zeros_around.keys() <= set(range(2, axes + 2)):
        x = source
        for axis, (before, behind) in zeros_around.items():
            pads[axis - 2] = pads[axis - 2][0] + before, pads[axis - 2][1] + behind
    sizes = []
    for axis, (before, behind) in enumerate(pads):
        more = abs(behind - before)
        if more % dilation[axis]:
            x, pads[axis] = padded(net, x, {axis + 2: (before, behind)}), (0, 0)
        elif more:
            zeros = more // dilation[axis]
            weights = _widened(weights, axis, *((zeros, 0) if behind > before else (0, zeros)))
        sizes.append(max(pads[axis]))
    param = _param(len(weights), weights.shape[2:], sizes, stride, dilation, group)
    is_depthwise = 1 < group == len(weights) == x.shape[1] and axes == 2
    allowed = is_depthwise and "DepthwiseConvolution" in net.allowed
    return _with_bias(node, x, "DepthwiseConvolution" if allowed else "Convolution", weights, param)


@operator("ConvTranspose")
def transposed_convolution(node: Node) -> View:
    """A transposed convolution.

    Caffe cuts both ends of an axis alike. Where the model does not, zeros at an end of the kernel make the
    result longer there by as much as is cut too much.
    """
    net, x = node.net, node.view()
    weights = node.constant(1, "weights").astype(np.float32)
    axes = weights.ndim - 2
    if axes < 1 or len(x.shape) != weights.ndim:
        raise InexpressibleError(f"it has weights of shape {weights.shape} for an input of shape {x.shape}")
    stride, dilation = strides_of(node, axes)
    group = node.attribute("group", 1)
    if len(weights) != x.shape[1] or x.shape[1] % group:
        raise InexpressibleError(
            f"it has weights of shape {weights.shape} in {group} groups for an input of shape {x.shape}"
        )
    shape = node.shape()
    cuts = _cuts(node, x.shape[2:], shape[2:], weights.shape[2:])
    sizes = []
    for axis, (before, behind) in enumerate(cuts):
        more = abs(before - behind)
        if more % dilation[axis]:
            raise InexpressibleError("it cuts or pads its result by what is no multiple of its dilation")
        zeros = more // dilation[axis]
        if before > behind:
            weights = _widened(weights, axis, 0, zeros)
        elif behind > before:
            weights = _widened(weights, axis, zeros, 0)
        sizes.append(max(before, behind))
    if any(size < 0 for size in sizes):
        raise InexpressibleError("it pads both ends of its result", "put the padding after it")
    param = _param(weights.shape[1] * group, weights.shape[2:], sizes, stride, dilation, group)
    return _with_bias(node, View.of(net.plain(x), x.shape), "Deconvolution", weights, param)


def _cuts(
    node: Node, sizes: Sequence[int], wanted: Sequence[int], kernel: Sequence[int]
) -> list[tuple[int, int]]:
    """What is cut from both ends of each axis of the whole result; negative: added, with zeros."""
    axes = len(kernel)
    stride, dilation = strides_of(node, axes)
    extra = node.attribute("output_padding") or [0] * axes
    given = node.attribute("pads") or [0] * (2 * axes)
    auto = node.attribute("auto_pad", "NOTSET")
    cuts = []
    for i in range(axes):
        whole = stride[i] * (sizes[i] - 1) + dilation[i] * (kernel[i] - 1) + 1
        total = whole - wanted[i]
        if auto in ("SAME_UPPER", "SAME_LOWER") or "output_shape" in node.given:
            pads = total + extra[i]
            half = pads // 2
            before = half if auto == "SAME_UPPER" else pads - half
        else:
            before = 0 if auto == "VALID" else given[i]
        cuts.append((before, total - before))
    return cuts


def _with_bias(node: Node, x: View, type: str, weights: Array, param: dict[str, Any]) -> View:
    blobs = [weights]
    if node.has(2):
        blobs.append(node.constant(2, "bias"))
    else:
        param["bias_term"] = False
    shape = node.shape()
    top = node.net.one(type, node.net.plain(x), shape, weights=blobs, main=True, convolution_param=param)
    return View.of(top, shape)
