"""A net built to be looked at: no weights are drawn, and data sets may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pycaffe_lite.errors import ArgumentError, NetError
from pycaffe_lite.net.graph import Node
from pycaffe_lite.net.net import Net, StrPath
from pycaffe_lite.net.state import PlacedLayer, filter_layers
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document, read_net
from pycaffe_lite.view.stand_ins import Shape, data_is_missing, reads_a_source, shapes_in_place

# Layers without bottoms whose tops are no data.
_WITH_SHAPES_OF_THEIR_OWN = ("Parameter",)


@dataclass
class ShapedNet:
    """A net with the shape of every blob; its weights are zeros.

    Attributes:
        net: the net.
        names: of the layers that its prototxt has; the net has Split layers besides.
        types: the types of layers that Input layers stand in for, by name.
        remarks: what had to be assumed, a sentence each.
    """

    net: Net
    names: set[str]
    types: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def type_of(self, node: Node) -> str:
        """The type of a layer as its prototxt has it."""
        return self.types.get(node.layer.name, node.layer.type)

    @property
    def nodes(self) -> list[Node]:
        """The layers that the prototxt has, without the Split layers of the net."""
        return [node for node in self.net.graph.nodes if not self.is_inserted(node)]

    def is_inserted(self, node: Node) -> bool:
        """Whether a layer is a Split that the net has put where a blob has several readers."""
        return node.layer.type == "Split" and node.layer.name not in self.names

    def blob_names(self) -> list[str]:
        """The name of each blob of the graph as the prototxt has it: copies bear the name of the original."""
        graph = self.net.graph
        names = list(graph.blob_names)
        for node in graph.nodes:
            if self.is_inserted(node):
                for top in node.top_ids:
                    names[top] = names[node.bottom_ids[0]]
        return names


def shaped_net(
    file: StrPath,
    phase: int,
    level: int = 0,
    stages: Iterable[str] = (),
    shapes: Mapping[str, Shape] | None = None,
    *,
    strict: bool = False,
) -> ShapedNet:
    """Builds a net to be looked at.

    A data layer whose file or database is not there is replaced by an Input layer: of the batch size, of as
    many pixels as the layer cuts out or resizes to, and with 3 channels, or 1 if it asks for grey.

    Args:
        file: a prototxt. phase, level, stages, strict: as in `Net`.
        shapes: shapes for tops of layers without bottoms, by name, which go before what the file says; data
            layers of unknown types and those that are Python's need those of all their tops.

    Raises:
        NetError: a data set is missing and its layer does not say what shape it has; there are no layers; and
            as `Net`.
        ArgumentError: a shape is given for a blob that follows from others, or for some tops of a layer only.
    """
    return shaped_document(read_net(file, strict=strict), phase, level, stages, shapes)


def shaped_document(
    document: Document[caffe_pb2.NetParameter],
    phase: int,
    level: int = 0,
    stages: Iterable[str] = (),
    shapes: Mapping[str, Shape] | None = None,
) -> ShapedNet:
    """As `shaped_net`, for a prototxt that has been read; its message is changed."""
    message = document.message
    message.state.MergeFrom(caffe_pb2.NetState(level=level, stage=stages))
    message.state.phase = caffe_pb2.TRAIN if phase == caffe_pb2.TRAIN else caffe_pb2.TEST
    placed = [PlacedLayer(layer, document.where(("layer", i))) for i, layer in enumerate(message.layer)]
    left = dict(shapes or {})
    kept = filter_layers(placed, message.state)
    if not kept:
        raise NetError(f"{document.path}: {without_layers(placed, message.state)}")
    shaped: dict[str, Any] = {"names": {layer.param.name for layer in kept}, "types": {}, "remarks": []}
    for layer in kept:
        clear_fillers(layer.param)
        _stand_in(layer, document, left, shaped)
    if left:
        sources = [top for layer in kept if not layer.param.bottom for top in layer.param.top]
        tops = ", ".join(f"'{top}'" for top in sources) or "none"
        raise ArgumentError(
            f"no Input or data layer of the net makes a blob '{next(iter(left))}'; "
            f"blobs of such layers: {tops}"
        )
    return ShapedNet(Net.from_document(document), **shaped)


def without_layers(layers: Sequence[PlacedLayer], state: caffe_pb2.NetState) -> str:
    """What is wrong with a net that has no layers in a state, and in which phase it has some."""
    words = f"the net has no layers in phase {caffe_pb2.Phase.Name(state.phase)}"
    other = caffe_pb2.NetState(level=state.level, stage=state.stage)
    other.phase = caffe_pb2.TEST if state.phase == caffe_pb2.TRAIN else caffe_pb2.TRAIN
    count = len(filter_layers(layers, other))
    return f"{words}; with --phase {caffe_pb2.Phase.Name(other.phase)} it has {count}" if count else words


def clear_fillers(message: Any) -> None:
    """Makes the fillers of learnable blobs constant: drawing a large net's weights would take seconds.

    They stay in the message, since some types are told apart by what fillers they have.
    """
    for part, value in message.ListFields():
        if part.message_type is None or not hasattr(value, "ListFields"):
            continue  # DummyData's fillers are repeated; they fill no weights
        if part.message_type.name == "FillerParameter":
            value.Clear()
        else:
            clear_fillers(value)


def _stand_in(
    layer: PlacedLayer,
    document: Document[caffe_pb2.NetParameter],
    shapes: dict[str, Shape],
    shaped: dict[str, Any],
) -> None:
    """Makes an Input layer of a data layer without data, or of one whose shapes are given."""
    param = layer.param
    given = {top: shapes.pop(top) for top in param.top if top in shapes}
    is_missing = data_is_missing(param, document.path)
    if not given and not is_missing:
        return
    if given and (param.bottom or param.type in _WITH_SHAPES_OF_THEIR_OWN):
        top = next(iter(given))
        raise ArgumentError(
            f"blob '{top}' is the top of a layer of type {param.type}: it follows from the net"
        )
    known = [given.get(top) for top in param.top]
    if param.type == "Input":
        own = [tuple(shape.dim) for shape in param.input_param.shape]
        own = own * len(known) if len(own) == 1 else own
        known = [shape or (own[i] if i < len(own) else None) for i, shape in enumerate(known)]
    if reads_a_source(param) and None in known:
        guessed = shapes_in_place(layer, known)
        for top, taken, was in zip(param.top, guessed, known, strict=True):
            if was is None:
                why = "is not there" if is_missing else "is not read"
                shaped["remarks"].append(
                    f"The data of layer '{param.name}' ({param.type}) {why}: blob '{top}' is taken to "
                    f"have the shape {'x'.join(map(str, taken))}; --shape {top}=N,... says otherwise."
                )
        known = [*guessed]
    if None in known:
        raise ArgumentError(
            f"layer '{param.name}' ({param.type}): give the shapes of all its tops, or of none"
        )
    shaped["types"][param.name] = param.type
    param.type = "Input"
    for part, _ in param.ListFields():
        if part.name.endswith("_param"):
            param.ClearField(part.name)
    for shape in known:
        param.input_param.shape.add().dim.extend(shape or ())
