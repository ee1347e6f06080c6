"""A net as a graph to be drawn: as Caffe draws it, with its blobs, or its layers alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pycaffe_lite.errors import ArgumentError, PrototxtError, PycaffeError
from pycaffe_lite.net.net import StrPath
from pycaffe_lite.net.state import PlacedLayer, filter_layers
from pycaffe_lite.printable import printable
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import read_net, text_of
from pycaffe_lite.view.caffe_style import (
    BLOB_STYLE,
    LAYER_STYLE_DEFAULT,
    NEURON_LAYER_STYLE,
    choose_color_by_layertype,
    get_edge_label,
    get_layer_label,
)
from pycaffe_lite.view.dot import Graph, Node, escaped
from pycaffe_lite.view.numbers import as_shape
from pycaffe_lite.view.shaped import ShapedNet, shaped_net, without_layers
from pycaffe_lite.view.stand_ins import Shape
from pycaffe_lite.view.summary import LayerSummary, summarize


@dataclass(frozen=True)
class DrawnLayer:
    """A layer to be drawn.

    Attributes:
        param: its message as it stands in the prototxt. summary: its numbers; None if the net was not built.
    """

    param: caffe_pb2.LayerParameter
    summary: LayerSummary | None = None

    @property
    def is_in_place(self) -> bool:
        """Whether it writes into the one blob that it reads."""
        return len(self.param.bottom) == 1 and list(self.param.bottom) == list(self.param.top)

    def shape(self, index: int) -> Shape | None:
        """The shape of a top, if it is known."""
        known = self.summary.shapes if self.summary else []
        return tuple(known[index]) if index < len(known) else None

    def text(self) -> str:
        """The layer's part of the prototxt, without its weights."""
        copy = caffe_pb2.LayerParameter()
        copy.CopyFrom(self.param)
        copy.ClearField("blobs")
        return text_of(copy)


@dataclass
class DrawnNet:
    """What there is to draw of a net.

    Attributes:
        name: the net's. layers: in order. remarks: what is missing or assumed, a sentence each.
    """

    name: str
    layers: list[DrawnLayer]
    remarks: list[str] = field(default_factory=list)

    def blob_graph(self, rankdir: str) -> Graph:
        """Layers as boxes and blobs as octagons, as Caffe draws them; edges to tops bear the blobs' shapes.

        Args:
            rankdir: where its edges lead, LR, TB, BT or RL.
        """
        graph = Graph(printable(self.name), rankdir)
        for i, layer in enumerate(self.layers):
            key = str(i)
            graph.nodes[key] = _node(layer, rankdir)
            for blob in layer.param.bottom:
                graph.nodes[f"blob {blob}"] = Node(escaped(blob), BLOB_STYLE)
                graph.edges.append((f"blob {blob}", key, ""))
            for k, blob in enumerate(layer.param.top):
                graph.nodes.setdefault(f"blob {blob}", Node(escaped(blob), BLOB_STYLE))
                label = "" if layer.is_in_place else _edge_label(layer, k)
                graph.edges.append((key, f"blob {blob}", label))
        return graph

    def layer_graph(self, rankdir: str) -> Graph:
        """Layers alone, each joined with those that read what it makes, by edges with the shapes.

        Layers that work in place stand one behind the other.

        Args:
            rankdir: as for `blob_graph`.
        """
        graph = Graph(printable(self.name), rankdir)
        makers: dict[str, tuple[str, str]] = {}  # blob → layer, and the shape if no edge bears it yet
        for i, layer in enumerate(self.layers):
            key = str(i)
            graph.nodes[key] = _node(layer, rankdir)
            for blob in layer.param.bottom:
                if blob in makers:
                    maker, label = makers[blob]
                    graph.edges.append((maker, key, label))
                    makers[blob] = maker, ""
            for k, blob in enumerate(layer.param.top):
                makers[blob] = key, _edge_label(layer, k)
        return graph


def drawn_net(
    file: StrPath,
    phase: int | None,
    level: int = 0,
    stages: Iterable[str] = (),
    shapes: Mapping[str, Shape] | None = None,
) -> DrawnNet:
    """Reads a net to be drawn, with its shapes as far as it can be built.

    Args:
        file: a prototxt. phase: TRAIN or TEST; None for the layers of both, without shapes.
        level, stages, shapes: as in `shaped_net`.

    Raises:
        FileLookupError: there is no such file. PrototxtError: it cannot be read.
        ArgumentError: there is nothing to draw, or a shape is given for a blob that takes none.
    """
    document = read_net(file)
    message = document.message
    params: Sequence[caffe_pb2.LayerParameter] = message.layer
    summaries: dict[str, LayerSummary] = {}
    remarks: list[str] = []
    if phase is not None:
        stages = list(stages)
        message.state.MergeFrom(caffe_pb2.NetState(level=level, stage=stages))
        message.state.phase = caffe_pb2.TRAIN if phase == caffe_pb2.TRAIN else caffe_pb2.TEST
        placed = [PlacedLayer(param, "") for param in message.layer]
        params = [layer.param for layer in filter_layers(placed, message.state)]
        if not params:
            raise ArgumentError(f"{file}: {without_layers(placed, message.state)}")
        try:
            summary = summarize(shaped_net(file, phase, level, stages, shapes))
            summaries = {layer.name: layer for layer in summary.layers}
            remarks = summary.remarks
        except (ArgumentError, PrototxtError):
            raise
        except PycaffeError as error:
            remarks = [f"The net is drawn without shapes: {error}"]
    if not params:
        raise ArgumentError(f"{file}: the net has no layers to draw")
    layers = [DrawnLayer(param, summaries.get(param.name)) for param in params]
    return DrawnNet(message.name or "Net", layers, remarks)


def drawn_from(shaped: ShapedNet) -> DrawnNet:
    """What there is to draw of a net that is built already, with all shapes.

    Args:
        shaped: the net, without stand-ins for data layers.
    """
    summary = summarize(shaped)
    names = shaped.blob_names()
    layers = []
    for node, numbers in zip(shaped.nodes, summary.layers, strict=True):
        param = caffe_pb2.LayerParameter()
        param.CopyFrom(node.layer.layer_param)
        param.ClearField("phase")  # which building the net has added
        for blobs, ids in ((param.bottom, node.bottom_ids), (param.top, node.top_ids)):
            del blobs[:]
            blobs.extend(names[i] for i in ids)
        layers.append(DrawnLayer(param, numbers))
    return DrawnNet(shaped.net.name or "Net", layers)


def _node(layer: DrawnLayer, rankdir: str) -> Node:
    style = {**LAYER_STYLE_DEFAULT, "fillcolor": choose_color_by_layertype(layer.param.type)}
    what = caffe_pb2.LayerParameter()
    what.CopyFrom(layer.param)
    what.name = ""
    parts = get_layer_label(what, "LR")[1:-1].split(r"\n")[1:]
    if rankdir in ("TB", "BT"):
        parts = [" ".join(parts)]
    label = r"\n".join([escaped(layer.param.name), *map(escaped, parts)])
    # Graphviz reads bars and braces in a record's label as its parts: names may hold them.
    return Node(label, {**(NEURON_LAYER_STYLE if layer.is_in_place else style), "shape": "box"})


def _edge_label(layer: DrawnLayer, index: int) -> str:
    shape = layer.shape(index)
    if shape is not None:
        return as_shape(shape)
    label = get_edge_label(layer.param)
    return "" if label == '""' else label
