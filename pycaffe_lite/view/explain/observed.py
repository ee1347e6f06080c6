"""What went into a layer and what came out of it, in one pass forward and backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.net.graph import Node
from pycaffe_lite.net.net import Net

Values = npt.NDArray[np.floating]
Index = tuple[int, ...]


@dataclass
class Observed:
    """A layer's values around its own forward and backward pass, before any layer in place changed them.

    Attributes:
        layer: the layer. x, y: its bottoms and tops. w: its learnable blobs, before the pass.
        dy: the tops' gradients, at the layer's backward pass. dx: the bottoms'; None where there is none.
        dw: what the pass added to the learnable blobs' gradients.
    """

    layer: Layer[Any]
    x: list[Values]
    y: list[Values]
    w: list[Values]
    dy: list[Values]
    dx: list[Values | None]
    dw: list[Values]


def observe(net: Net, name: str, seed: int = 0, top_diff: Values | None = None) -> Observed:
    """Runs a net forward and backward, and keeps what one layer saw.

    Each layer runs by itself. Where no output is part of a loss, the outputs get random gradients.

    Args:
        net: with its inputs filled. name: of the layer. seed: of the random gradients.
        top_diff: the gradient of the layer's first top, in place of what comes from the layers behind it.

    Raises:
        ArgumentError: top_diff has not the shape of that top.
    """
    nodes = net.graph.nodes
    at = net.layer_names.index(name)
    node = nodes[at]
    for blob in net.learnable_params:
        blob.clear_diff()
    weights = _data(node.layer.blobs)
    bottoms: list[Values] = []
    tops: list[Values] = []
    for i in range(len(nodes)):
        if i == at:
            bottoms = _data(node.bottom)
        net._forward(i, i)
        if i == at:
            tops = _data(node.top)
    if not any(any(other.layer.loss_weights) for other in nodes):
        random = np.random.default_rng(seed)
        for output in net.outputs:
            blob = net.blobs[output]
            blob.diff[...] = random.normal(size=blob.shape)
    for i in reversed(range(at + 1, len(nodes))):
        net._backward(i, i)
    if top_diff is not None:
        _set_gradient(node, top_diff)
    gradients = [blob.diff.copy() for blob in node.top]
    before = [blob.diff.copy() for blob in node.layer.blobs]
    net._backward(at, at)
    return Observed(
        node.layer,
        *(bottoms, tops, weights, gradients, _bottom_gradients(node)),
        [blob.diff - old for blob, old in zip(node.layer.blobs, before, strict=True)],
    )


def _set_gradient(node: Node, values: Values) -> None:
    if not node.top:
        raise ArgumentError(f"{node.layer.where()}: has no top that could have a gradient")
    top = node.top[0]
    if values.shape != top.shape:
        raise ArgumentError(
            f"{node.layer.where()}: the gradient given for its top has shape {values.shape}, "
            f"the top has {top.shape}"
        )
    top.diff[...] = values


def _data(blobs: Any) -> list[Values]:
    return [blob.data.copy() for blob in blobs]


def _bottom_gradients(node: Node) -> list[Values | None]:
    return [
        blob.diff.copy() if node.need_backward and needs else None
        for blob, needs in zip(node.bottom, node.bottom_need_backward, strict=True)
    ]


def largest(values: Values) -> Index:
    """The index of the largest size."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(np.abs(values)), values.shape))
