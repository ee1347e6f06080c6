"""A net in numbers: what each layer makes, learns, computes and keeps in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from pycaffe_lite.blob import Blob
from pycaffe_lite.net.graph import Node
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.view.cost import multiply_adds, traffic
from pycaffe_lite.view.shaped import ShapedNet
from pycaffe_lite.view.suspicions import suspicions


@dataclass(frozen=True)
class LayerSummary:
    """A layer in numbers.

    Attributes:
        name, type: as in the prototxt. bottoms, tops: names of its blobs. shapes: of its tops.
        params: how many values its learnable blobs have, those that it shares with other layers included.
        multiply_adds: of a forward pass (`view.cost`); None where they depend on the data.
        memory: bytes that it adds to those before it: tops, learnable blobs and buffers that share no memory.
        traffic: bytes that a forward pass reads and writes at least.
    """

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    shapes: list[tuple[int, ...]]
    params: int
    multiply_adds: int | None
    memory: int
    traffic: int


@dataclass(frozen=True)
class NetSummary:
    """A net in numbers.

    Attributes:
        name: the net's. phase: TRAIN or TEST. layers: in order.
        params: learnable values, shared ones once. multiply_adds: of a forward pass, without layers whose
            cost depends on the data.
        forward_memory: bytes that a pass forward needs: blobs, weights and buffers.
        training_memory: bytes that training needs: besides these the gradients of blobs and weights, and a
            history of each weight, as SGD keeps it with momentum (Adam and AdaDelta keep two).
        warnings: what is suspicious, a sentence each. remarks: what had to be assumed.
    """

    name: str
    phase: str
    layers: list[LayerSummary]
    params: int
    multiply_adds: int
    forward_memory: int
    training_memory: int
    warnings: list[str]
    remarks: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The summary in JSON's types, under the names of its attributes."""
        return asdict(self)


def summarize(shaped: ShapedNet) -> NetSummary:
    """Sums a net up.

    Args:
        shaped: the net, see `shaped_net`; nothing is run.
    """
    net, names = shaped.net, shaped.blob_names()
    memory = _Memory()
    layers = []
    for node in net.graph.nodes:
        added = memory.add((*node.top, *node.layer.blobs, *node.layer.buffers))
        if shaped.is_inserted(node):
            continue
        layers.append(
            LayerSummary(
                node.layer.name,
                shaped.type_of(node),
                [names[i] for i in node.bottom_ids],
                [names[i] for i in node.top_ids],
                [blob.shape for blob in node.top],
                sum(blob.count for blob in node.layer.blobs),
                multiply_adds(node),
                added,
                traffic(node),
            )
        )
    forward = memory.bytes
    learnable = net.learnable_params
    trained = sum(_bytes(blob) for blob in learnable)
    return NetSummary(
        net.name,
        caffe_pb2.Phase.Name(net.phase),
        layers,
        sum(blob.count for blob in learnable),
        sum(layer.multiply_adds or 0 for layer in layers),
        forward,
        forward + _gradients(net.graph.nodes) + 2 * trained,
        suspicions(shaped),
        list(shaped.remarks),
    )


def _bytes(blob: Blob) -> int:
    return blob.count * blob.dtype.itemsize


class _Memory:
    """The memory of blobs' data, in which several blobs may lie."""

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}

    @property
    def bytes(self) -> int:
        """How much there is in all."""
        return sum(self._ends.values())

    def add(self, blobs: Iterable[Blob]) -> int:
        """Takes blobs into account; returns by how many bytes there is more memory now."""
        before = self.bytes
        for blob in blobs:
            number, start = blob.memory[0], blob.place[1]
            end = start * blob.dtype.itemsize + _bytes(blob)
            self._ends[number] = max(self._ends.get(number, 0), end)
        return self.bytes - before


def _gradients(nodes: Iterable[Node]) -> int:
    """The bytes of the gradients of blobs that a backward pass computes, and of those that it begins with."""
    sizes: dict[int, int] = {}
    for node in nodes:
        wanted = (
            [blob for blob, needs in zip(node.bottom, node.bottom_need_backward, strict=True) if needs]
            if node.need_backward
            else []
        )
        begun = [blob for blob, w in zip(node.top, node.layer.loss_weights, strict=True) if w]
        for blob in (*wanted, *begun):
            number = blob.memory[1]
            sizes[number] = max(sizes.get(number, 0), _bytes(blob))
    return sum(sizes.values())
