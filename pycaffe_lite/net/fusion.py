"""Fusion: layers that work in place right behind another one run in its end, where nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pycaffe_lite.kernels.convolution import End
from pycaffe_lite.net.graph import Node


def fused_runs(nodes: Sequence[Node]) -> dict[int, int]:
    """The runs of layers that one kernel can do: index of the first → index behind the last.

    A run begins with a layer that takes an end (Convolution, InnerProduct) and goes on with the layers
    that follow it at once, work in place on its only top, and are a scale, a shift and a leaky ReLU per
    channel (ReLU; BatchNorm, Scale, Bias and Dropout in tests); or it is a sum (Eltwise) and a leaky ReLU.
    The blob holds the same values afterwards.
    A layer whose backward pass needs what it saw in the forward pass is left out where that pass exists,
    and so is one whose values count in the loss.
    """
    runs = {}
    for i, node in enumerate(nodes):
        takes_any = node.layer.takes_end or node.layer.takes_slope
        if not takes_any or len(node.top_ids) != 1 or any(node.layer.loss_weights):
            continue
        end, slope_set = i + 1, False
        while end < len(nodes) and _continues(node, nodes[end]) and not slope_set:
            slope_set = nodes[end].layer.is_activation
            end += 1
        if end > i + 1:
            runs[i] = end
    return runs


def _continues(first: Node, follower: Node) -> bool:
    layer = follower.layer
    return (
        follower.bottom_ids == follower.top_ids == first.top_ids
        and (first.layer.takes_end or layer.is_activation)
        and not any(layer.loss_weights)
        and layer.can_be_end(follower.top)
        and (layer.end_serves_backward or not follower.need_backward)
    )


def end_of(followers: Sequence[Node]) -> End:
    """What the followers do to each channel, from their blobs as they are now."""
    return reduce(End.then, (node.layer.as_end(node.top) for node in followers))
