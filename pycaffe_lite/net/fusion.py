"""Fusion: a layer that works in place right behind another runs in its epilogue, unless somebody looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pycaffe_lite.kernels.convolution import NO_EPILOGUE
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.net.graph import Node


class Run:
    """Layers that run in one go: a layer, and those that run in its epilogue.

    Attributes:
        nodes: all of them, in order.
        only_starts_kernels: whether to run them is no more than that, see `layer.base.by_kernels`, and what
            `finish` does.
        shapes_itself: whether `forward` shapes a layer, since its shapes may depend on values.
        finishes: whether `finish` does anything.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.shapes_itself = not all(node.layer.reshape_follows_shapes for node in nodes)
        self._followers = nodes[:0:-1]  # the last one first
        self._weighed = any(nodes[0].layer.loss_weights)
        verb = "forward_with_epilogue" if self._followers else "forward"
        self.only_starts_kernels = (
            nodes[0].layer.is_by_kernels(verb)
            and all(node.layer.is_by_kernels("epilogue_before") for node in self._followers)
            and not self.shapes_itself
        )
        self.finishes = self._weighed or nodes[0].layer.checks_bottoms

    def reshape(self) -> None:
        """Shapes them."""
        for node in self.nodes:
            node.reshape()

    def forward(self) -> float:
        """Runs them, with their learnable blobs as they are now; returns their part of the loss."""
        if self.shapes_itself:
            self.reshape()
        self._compute()
        return self._loss()

    def finish(self) -> float:
        """Does what comes behind the kernels that `forward` starts; returns their part of the loss."""
        self.nodes[0].layer.check_bottoms(self.nodes[0].bottom)
        return self._loss()

    def _loss(self) -> float:
        return self.nodes[0].layer.loss(self.nodes[0].top) if self._weighed else 0.0

    def _compute(self) -> None:
        first = self.nodes[0]
        if not self._followers:
            first.layer.forward(first.bottom, first.top)
            return
        epilogue = NO_EPILOGUE
        for node in self._followers:
            epilogue = node.layer.epilogue_before(epilogue)
        first.layer.forward_with_epilogue(first.bottom, first.top, epilogue)


def runs(nodes: Sequence[Node]) -> list[Run]:
    """All layers, put together as far as one kernel can do them.

    A run of several begins with a layer that takes an epilogue (Convolution, InnerProduct) and goes on with
    the layers that follow it at once, work in place on its only top, and are a scale, a shift and a leaky
    ReLU per channel (ReLU; BatchNorm, Scale, Bias and Dropout in tests); or it is a sum (Eltwise) and a
    leaky ReLU.
    The blob holds the same values afterwards, but for roundings: scales and shifts are put together into one
    each, and the scale may go into the weights before they are multiplied. With ReLU alone no bit differs;
    docs/accuracy.md says how many do otherwise.
    A layer whose backward pass needs what it saw in the forward pass is left out where that pass exists,
    and so is one whose values count in the loss.
    """
    found, start = [], 0
    while start < len(nodes):
        end = _end_of_run(nodes, start)
        found.append(Run(nodes[start:end]))
        start = end
    return found


def _end_of_run(nodes: Sequence[Node], start: int) -> int:
    """The index behind the last layer that can run together with the one at `start`."""
    first, end = nodes[start], start + 1
    takes_any = first.layer.takes_epilogue or first.layer.takes_slope
    if not takes_any or len(first.top_ids) != 1 or any(first.layer.loss_weights):
        return end
    while end < len(nodes) and _continues(first, nodes[end]):
        end += 1
        if nodes[end - 1].layer.is_activation:
            break
    return end


def takes_along(node: Node, before: Node) -> bool:
    """Whether a layer's backward pass can do that of the layer before it, an activation in place, as well."""
    return (
        before.layer.is_activation
        and node.layer.takes_slope_behind
        and before.bottom_ids == before.top_ids == node.bottom_ids
        and before.bottom_need_backward == node.bottom_need_backward == [True]
        # not so for types derived from these whose backward passes do something else
        and _is_from_one_class(before.layer, "backward", "epilogue_before")
        and _is_from_one_class(node.layer, "backward", "backward_with_slope")
    )


def _is_from_one_class(layer: Layer[Any], *verbs: str) -> bool:
    return len({next(c for c in type(layer).__mro__ if verb in vars(c)) for verb in verbs}) == 1


def _continues(first: Node, follower: Node) -> bool:
    layer = follower.layer
    return (
        follower.bottom_ids == follower.top_ids == first.top_ids
        and (first.layer.takes_epilogue or layer.is_activation)
        and not any(layer.loss_weights)
        and layer.can_be_epilogue(follower.top)
        and (layer.epilogue_serves_backward or not follower.need_backward)
    )
