"""Fusion: which layers of a net run together, unless somebody looks at the blobs between them."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.layer.fusing import (
    IsEpilogue,
    IsLeakyReLU,
    TakesEpilogue,
    TakesSlopeBack,
    is_from_one_class,
)
from pycaffe_lite.net.graph import Node
from pycaffe_lite.net.parts import Backward, Forward


def forward_parts(nodes: Sequence[Node]) -> list[Forward]:
    """The forward pass of a net's layers, put together as far as one kernel can do the work of several.

    A part of several layers begins with one that takes an epilogue (Convolution, InnerProduct) and goes on
    with the layers right behind it that work in place on its only top and are a scale, a shift and a leaky
    ReLU per channel (ReLU; BatchNorm, Scale, Bias and Dropout in TEST); or it is a sum (Eltwise) and a leaky
    ReLU. The blob holds the same values afterwards, apart from roundings: scales and shifts are combined into
    one each, and the scale may go into the weights before they are multiplied. With ReLU alone no bit
    differs; docs/accuracy.md says how many bits do otherwise.
    A layer whose backward pass needs what it saw in the forward pass is left out if the net runs that pass,
    and so is a layer whose values count in the loss.
    """
    parts, start = [], 0
    while start < len(nodes):
        end = _end_of_part(nodes, start)
        parts.append(Forward(nodes[start:end]))
        start = end
    return parts


def backward_parts(nodes: Sequence[Node]) -> list[Backward]:
    """The backward pass of a net's layers, the last one first."""
    parts = []
    left = [node for node in nodes if node.need_backward]
    while left:
        node = left.pop()
        parts.append(Backward(node, left.pop() if left and _takes_back(node, left[-1]) else None))
    return parts


def _end_of_part(nodes: Sequence[Node], start: int) -> int:
    """The index behind the last layer that can run together with the one at `start`."""
    first, end = nodes[start], start + 1
    layer = first.layer
    if not isinstance(layer, TakesEpilogue) or not layer.takes_epilogue():
        return end
    if not is_from_one_class(layer, "forward", "forward_with_epilogue"):
        return end
    if len(first.top_ids) != 1 or any(layer.loss_weights):
        return end
    while end < len(nodes) and _is_epilogue(nodes[end], first, slopes_only=layer.takes_slopes_only):
        end += 1
        if isinstance(nodes[end - 1].layer, IsLeakyReLU):
            break
    return end


def _is_epilogue(node: Node, first: Node, *, slopes_only: bool) -> bool:
    """Whether a layer can run in the epilogue of `first`."""
    layer = node.layer
    return (
        isinstance(layer, IsLeakyReLU if slopes_only else IsEpilogue)
        and node.bottom_ids == node.top_ids == first.top_ids
        and not any(layer.loss_weights)
        and layer.can_be_epilogue(node.top)
        and is_from_one_class(layer, "forward", "epilogue_before")
        and (layer.serves_backward or not node.need_backward)
    )


def _takes_back(node: Node, before: Node) -> bool:
    """Whether a layer can do the backward pass of the layer before it, a leaky ReLU in place, as well."""
    return (
        isinstance(before.layer, IsLeakyReLU)
        and isinstance(node.layer, TakesSlopeBack)
        and node.layer.takes_slope_back()
        and before.bottom_ids == before.top_ids == node.bottom_ids
        and before.bottom_need_backward == node.bottom_need_backward == [True]
        and is_from_one_class(before.layer, "backward", "epilogue_before")
        and is_from_one_class(node.layer, "backward", "backward_with_slope")
    )
