"""The graph builder: from layer messages to set-up layers over shared blobs."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_lite.blob import Blob, Changes
from pycaffe_lite.data.share import WHOLE, Share
from pycaffe_lite.errors import LayerError, NetError
from pycaffe_lite.layer.base import Layer, LayerContext
from pycaffe_lite.layer.registry import create_layer
from pycaffe_lite.net.sharing import ParamTable
from pycaffe_lite.net.state import PlacedLayer, why_left_out
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)

AUTO_TOP_NAME = "(automatic)"


@dataclass
class Node:
    """One layer in a graph, with its blobs.

    Attributes:
        layer: the layer, set up and shaped.
        bottom, top: its blobs. bottom_ids, top_ids: their indices in the graph.
        bottom_need_backward: for each bottom, whether its gradient is wanted.
        need_backward: whether the layer takes part in the backward pass at all.
    """

    layer: Layer[Any]
    bottom: list[Blob] = field(default_factory=list)
    top: list[Blob] = field(default_factory=list)
    bottom_ids: list[int] = field(default_factory=list)
    top_ids: list[int] = field(default_factory=list)
    bottom_need_backward: list[bool] = field(default_factory=list)
    need_backward: bool = False

    def reshape(self) -> None:
        """Shapes the layer's tops; an error names the layer."""
        try:
            self.layer.reshape(self.bottom, self.top)
        except LayerError:
            raise
        except NetError as error:
            raise self.layer.error(str(error)) from None


def blobs_of(nodes: Iterable[Node]) -> list[Blob]:
    """All blobs that layers work on, including learnable blobs and buffers; each blob once."""
    blobs = (
        blob for node in nodes for blob in (*node.bottom, *node.top, *node.layer.blobs, *node.layer.buffers)
    )
    return list({id(blob): blob for blob in blobs}.values())


class Graph:
    """The layers of a net in the order in which they run, with the blobs between them.

    Args:
        layers: the layers, in order. left_out: layers that the net's state leaves out, to be named in errors.
        state: the net's state. dtype: the type of its blobs. folder: the folder of its prototxt.
        force_backward: whether to compute every gradient that the layers can give.
        share: which records its data layers take.

    Attributes:
        nodes: the layers, each with its bottoms and tops.
        blobs, blob_names: all blobs in the order in which they are made; only the automatic tops of losses
            may have the same name.
        blob_loss_weights: for each blob, its weight in the loss.
        inputs: indices of the tops of layers that are inputs (`Layer.is_input`).
        outputs: indices of the blobs that no layer reads, in alphabetical order of their names.
        params: the learnable parameters.
        changes: counts changes of shape and memory of all blobs that the layers work on.

    Source: BVLC/caffe src/caffe/net.cpp, Net::Init
    """

    def __init__(
        self,
        layers: Sequence[PlacedLayer],
        state: caffe_pb2.NetState,
        *,
        left_out: Sequence[PlacedLayer],
        dtype: np.dtype,
        folder: Path | None,
        force_backward: bool,
        share: Share = WHOLE,
    ) -> None:
        self.nodes: list[Node] = []
        self.blobs: list[Blob] = []
        self.blob_names: list[str] = []
        self.blob_loss_weights: list[float] = []
        self.inputs: list[int] = []
        self.params = ParamTable()
        self._ids: dict[str, int] = {}  # name → latest blob
        self._maker: dict[str, str] = {}  # name → layer that makes it
        self._available: dict[str, int] = {}  # made, not yet read
        self._blob_need_backward: list[bool] = []
        self._memory = 0
        self._state, self._left_out = state, left_out
        for param, where in layers:
            if not param.HasField("phase"):
                param.phase = state.phase
            context = LayerContext(dtype=dtype, folder=folder, where=where, share=share)
            self._add_layer(param, context)
        self._prune_backward()
        if force_backward:
            self._force_backward()
        for node in self.nodes:
            node.layer.need_backward = node.need_backward
        self._log_backward()
        self.outputs = [i for _, i in sorted(self._available.items(), key=lambda item: item[0].encode())]
        for i in self.outputs:
            log.info("This network produces output %s", self.blob_names[i])
        self.params.share_memory()
        self.changes = Changes()
        for blob in blobs_of(self.nodes):
            blob.count_changes_in(self.changes)

    # --------------------------------------------------------- layer by layer

    def _add_layer(self, param: caffe_pb2.LayerParameter, context: LayerContext) -> None:
        log.info("Creating layer %s", param.name)
        node = Node(create_layer(param, context))
        self.nodes.append(node)
        log.info("Creating Layer %s", param.name)
        if param.propagate_down and len(param.propagate_down) != len(param.bottom):
            raise node.layer.error(
                f"needs no propagate_down or one for each of its {len(param.bottom)} bottoms, "
                f"got {len(param.propagate_down)}"
            )
        for i in range(len(param.bottom)):
            self._connect_bottom(node, i)
        for i in range(len(param.top)):
            self._connect_top(node, i)
        if node.layer.auto_tops:
            wanted = max(node.layer.min_tops or 0, node.layer.exact_tops or 0)
            for _ in range(len(param.top), wanted):
                log.info("%s -> %s", param.name, AUTO_TOP_NAME)
                self._make_blob(node, AUTO_TOP_NAME)
        node.layer.set_up(node.bottom, node.top)
        self._log_setup(node)
        self.params.add_layer(node.layer)
        for blob_id, weight in zip(node.top_ids, node.layer.loss_weights, strict=True):
            self.blob_loss_weights[blob_id] = weight
        node.need_backward = any(self._blob_need_backward[i] for i in node.bottom_ids) or any(
            node.layer.param_propagate_down
        )
        for i in node.top_ids:
            self._blob_need_backward[i] |= node.need_backward

    def _connect_bottom(self, node: Node, index: int) -> None:
        param = node.layer.layer_param
        name = param.bottom[index]
        if name not in self._available:
            raise self._unknown_bottom(node.layer, index, name)
        blob_id = self._available.pop(name)
        log.info("%s <- %s", param.name, name)
        node.bottom.append(self.blobs[blob_id])
        node.bottom_ids.append(blob_id)
        need = param.propagate_down[index] if param.propagate_down else self._blob_need_backward[blob_id]
        node.bottom_need_backward.append(need)

    def _unknown_bottom(self, layer: Layer[Any], index: int, name: str) -> LayerError:
        if name in self._ids:
            return layer.error(f"bottom {index} '{name}' is already in use by another layer")
        what = f"bottom {index} is blob '{name}', which no layer before it makes"
        for param, where in self._left_out:
            if name in param.top:
                place = f" ({where.removesuffix(': ')})" if where else ""
                why = why_left_out(param, self._state)
                return layer.error(f"{what}: layer '{param.name}'{place} would, but {why}")
        near = difflib.get_close_matches(name, self._ids, n=1)
        return layer.error(what + (f" (did you mean '{near[0]}'?)" if near else ""))

    def _connect_top(self, node: Node, index: int) -> None:
        param = node.layer.layer_param
        name = param.top[index]
        if index < len(param.bottom) and param.bottom[index] == name:
            log.info("%s -> %s (in-place)", param.name, name)
            blob_id = self._ids[name]
            node.top.append(self.blobs[blob_id])
            node.top_ids.append(blob_id)
            self._available[name] = blob_id
        elif name in self._ids:
            raise node.layer.error(
                f"makes blob '{name}', which layer '{self._maker[name]}' already makes; "
                "a layer works in place only if bottom and top have one name at one index, "
                "and no other layer reads the blob before it"
            )
        else:
            log.info("%s -> %s", param.name, name)
            blob_id = self._make_blob(node, name)
            self._ids[name] = self._available[name] = blob_id
            self._maker[name] = param.name
            if node.layer.is_input:
                self.inputs.append(blob_id)

    def _make_blob(self, node: Node, name: str) -> int:
        blob_id = len(self.blobs)
        self.blobs.append(Blob(dtype=node.layer.dtype))
        self.blob_names.append(name)
        self.blob_loss_weights.append(0.0)
        self._blob_need_backward.append(False)
        node.top.append(self.blobs[blob_id])
        node.top_ids.append(blob_id)
        return blob_id

    def _log_setup(self, node: Node) -> None:
        log.info("Setting up %s", node.layer.name)
        for blob, weight in zip(node.top, node.layer.loss_weights, strict=True):
            log.info("Top shape: %s", blob.shape_string)
            if weight:
                log.info("    with loss weight %g", weight)
            self._memory += blob.count
        log.info("Memory required for data: %d", self._memory * node.layer.dtype.itemsize)

    # ---------------------------------------------------- who needs a gradient

    def _prune_backward(self) -> None:
        """Takes layers out of the backward pass on which no loss depends, or that lead to no wanted gradient.

        This goes from the last layer to the first. A layer stays only if a top has a loss weight or feeds a
        layer with one, and if some top's gradient is wanted. Blobs are told apart by name, so a chain of
        in-place layers has one blob.
        """
        under_loss: set[str] = set()
        unwanted: set[str] = set()
        for node in reversed(self.nodes):
            tops = [self.blob_names[i] for i in node.top_ids]
            contributes = any(node.layer.loss_weights) or any(name in under_loss for name in tops)
            if node.need_backward and all(name in unwanted for name in tops):
                node.need_backward = False
                node.bottom_need_backward = [False] * len(node.bottom)
            if not contributes:
                node.need_backward = False
            for i, blob_id in enumerate(node.bottom_ids):
                name = self.blob_names[blob_id]
                if contributes:
                    under_loss.add(name)
                else:
                    node.bottom_need_backward[i] = False
                if not node.bottom_need_backward[i]:
                    unwanted.add(name)

    def _force_backward(self) -> None:
        """Asks for every gradient that the layer types can give."""
        for node in self.nodes:
            node.need_backward = True
            for i in range(len(node.bottom)):
                node.bottom_need_backward[i] |= node.layer.allow_force_backward(i)
            node.layer.param_propagate_down = [True] * len(node.layer.blobs)

    def _log_backward(self) -> None:
        for node in reversed(self.nodes):
            says = "needs" if node.need_backward else "does not need"
            log.info("%s %s backward computation.", node.layer.name, says)


def missing_gradient(graph: Graph, nodes: Sequence[Node], wanted: Sequence[str]) -> str | None:
    """The warning about a backward pass that computes no gradient, or none of those asked for by name.

    Caffe leaves out layers on which no loss depends, and layers before which nothing learns, so whoever wants
    the gradient of an image just gets zeros.

    Args:
        graph: the net's. nodes: the layers of the pass. wanted: names of blobs whose gradient is asked for.

    Returns:
        The warning, with its cure; None if there is nothing to warn of.
    """
    if not nodes:
        return None
    if not any(node.need_backward for node in nodes):
        what = "no layer takes part in this backward pass, so no gradient is computed"
    else:
        computed = {
            graph.blob_names[blob]
            for node in (nodes if wanted else ())
            if node.need_backward
            for blob, needed in zip(node.bottom_ids, node.bottom_need_backward, strict=True)
            if needed
        }
        given = {graph.blob_names[i] for i in graph.outputs}
        if computed.intersection(wanted) or given.issuperset(wanted):
            return None
        what = f"this backward pass computes no gradient of {', '.join(map(repr, wanted))}"
    return f"{what}; write 'force_backward: true' into the prototxt to get the gradients of all blobs"
