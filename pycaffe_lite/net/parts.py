"""Parts of a pass: a layer's forward or backward, or that of several layers in one go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, cast

from pycaffe_lite.kernels.convolution import NO_EPILOGUE
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.fusing import IsEpilogue, TakesEpilogue, TakesSlopeBack
from pycaffe_lite.layer.replay import ChecksBottoms, is_by_kernels, is_by_shapes, prepare_diffs
from pycaffe_lite.net.graph import Node


class Part(Protocol):
    """What a pass is made of.

    Attributes:
        nodes: the layers, in the net's order.
        what: it is, for those who look at the time that it takes: `forward conv1 + relu1`.
        is_replayable: whether running the part is no more than `before`, kernels that can be recorded, and
            `after`. A part that turns out to be wrong about this stops saying so.
        before: calls that replay makes before the kernels run.
        after: calls that it makes after them; each checks what the kernels have found, and returns its share
            of the loss.
        shapes_itself: whether `run` shapes the layers as well, because a shape may depend on values.
    """

    nodes: Sequence[Node]
    what: str
    is_replayable: bool
    before: list[Callable[[], object]]
    after: list[Callable[[], float]]
    shapes_itself: bool

    def reshape(self) -> None:
        """Shapes the layers to their bottoms, if the part does not shape itself."""

    def run(self) -> float:
        """Runs the layers with their learnable blobs as they are now; returns their share of the loss."""


class Forward:
    """The forward pass of a layer, and of those that run in its epilogue."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.what = _what("forward", nodes)
        self._first = first = nodes[0]
        self._followers = [node.layer for node in nodes[:0:-1]]  # the last one first
        self._weighed = any(first.layer.loss_weights)
        self.shapes_itself = not all(is_by_shapes(node.layer) for node in nodes)
        self.is_replayable = (
            is_by_kernels(first.layer, "forward_with_epilogue" if self._followers else "forward")
            and all(is_by_kernels(layer, "epilogue_before") for layer in self._followers)
            and not self.shapes_itself
        )
        self.before: list[Callable[[], object]] = []
        self.after = _checks(first)
        if self._weighed:
            self.after.append(partial(first.layer.loss, first.top))

    def reshape(self) -> None:
        """Shapes the layers to their bottoms."""
        for node in self.nodes:
            node.reshape()

    def run(self) -> float:
        """Runs the layers with their learnable blobs as they are now; returns their share of the loss."""
        if self.shapes_itself:
            self.reshape()
        layer, bottom, top = self._first.layer, self._first.bottom, self._first.top
        if self._followers:
            epilogue = NO_EPILOGUE
            for follower in self._followers:
                epilogue = cast(IsEpilogue, follower).epilogue_before(epilogue)
            cast(TakesEpilogue, layer).forward_with_epilogue(bottom, top, epilogue)
        else:
            layer.forward(bottom, top)
        return layer.loss(top) if self._weighed else 0.0


class Backward:
    """The backward pass of a layer, and of a leaky ReLU before it whose backward pass it does as well."""

    shapes_itself = False

    def __init__(self, node: Node, slope: Node | None = None) -> None:
        self._node = node
        self._slope = None if slope is None else cast(IsEpilogue, slope.layer)
        self.nodes: Sequence[Node] = [node] if slope is None else [slope, node]
        self.what = _what("backward", self.nodes)
        layer: Layer[Any] = node.layer
        self.is_replayable = is_by_kernels(layer, "backward" if slope is None else "backward_with_slope")
        # Cleared gradients may still lack their zeros.
        self.before: list[Callable[[], object]] = [blob.finish_clearing for blob in (*node.top, *node.bottom)]
        self.before += [partial(prepare_diffs, layer)] if layer.blobs else []
        self.after = _checks(node)

    def reshape(self) -> None:
        """Does nothing: the forward pass has shaped the layers."""

    def run(self) -> float:
        """Runs the layers backward; returns 0, their share of the loss."""
        layer, bottom, top = self._node.layer, self._node.bottom, self._node.top
        wanted = self._node.bottom_need_backward
        if self._slope is None:
            layer.backward(top, wanted, bottom)
        else:
            slope = self._slope.epilogue_before(NO_EPILOGUE).slope
            cast(TakesSlopeBack, layer).backward_with_slope(top, wanted, bottom, slope)
        return 0.0


def _what(phase: str, nodes: Sequence[Node]) -> str:
    return f"{phase} {' + '.join(node.layer.name for node in nodes)}"


def _checks(node: Node) -> list[Callable[[], float]]:
    """What to call after a layer's kernels, if it checks what these have found."""
    layer = node.layer
    return [partial(_check, layer, node)] if isinstance(layer, ChecksBottoms) else []


def _check(layer: ChecksBottoms, node: Node) -> float:
    layer.check_bottoms(node.bottom)
    return 0.0
