"""Drawing nets; pycaffe's `caffe.draw`.

Layers are boxes, the blobs that they read octagons. Pictures are laid out by Graphviz where it is installed,
else here, which takes matplotlib for any format but SVG. `get_pydot_graph` gives pydot's object where that
package is installed.

Source: BVLC/caffe python/caffe/draw.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pycaffe_lite.dot import Graph, Node
from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.upgrade import upgrade_net

__all__ = [
    "BLOB_STYLE",
    "LAYER_STYLE_DEFAULT",
    "NEURON_LAYER_STYLE",
    "choose_color_by_layertype",
    "draw_net",
    "draw_net_to_file",
    "get_edge_label",
    "get_layer_label",
    "get_layer_lr_mult",
    "get_pooling_types_dict",
    "get_pydot_graph",
]

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}

_CONVOLUTIONS = ("Convolution", "Deconvolution")
_COLORS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}
_NO_LABEL = '""'


def get_pooling_types_dict() -> dict[int, str]:
    """The names of the kinds of pooling by their numbers."""
    return {number: name for name, number in caffe_pb2.PoolingParameter.PoolMethod.items()}


def get_edge_label(layer: caffe_pb2.LayerParameter) -> str:
    """What stands at the edges to a layer's tops: its batch size, its number of outputs, or ""."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in _CONVOLUTIONS:
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return _NO_LABEL


def get_layer_lr_mult(layer: caffe_pb2.LayerParameter) -> tuple[float, float]:
    """The multipliers of the learning rate of a layer's weights and bias.

    Raises:
        ArgumentError: the layer is no Convolution, Deconvolution or InnerProduct, or has more than two.
    """
    if layer.type not in (*_CONVOLUTIONS, "InnerProduct"):
        raise ArgumentError(f"{layer.type} layers do not have a learning rate multiplier")
    given = [param.lr_mult for param in layer.param]
    if len(given) > 2:
        raise ArgumentError(
            f"layer '{layer.name}' ({layer.type}) has multipliers for {len(given)} blobs, not for 2 at most"
        )
    weights, bias = [*given, 1.0, 1.0][:2]
    return weights, bias


def get_layer_label(layer: caffe_pb2.LayerParameter, rankdir: str, display_lrm: bool = False) -> str:
    """What stands in a layer's box, in double quotes: name, type, and how a window slides, if it does.

    Args:
        layer: the layer.
        rankdir: LR stacks the parts, parted by a backslash and an n; else they stand in a row.
        display_lrm: show the multipliers of the learning rate, unless both are 0.
    """
    kind, window = layer.type, None
    if layer.type in _CONVOLUTIONS:
        p = layer.convolution_param
        window = (*p.kernel_size, 1)[0], (*p.stride, 1)[0], (*p.pad, 0)[0]
    elif layer.type == "Pooling":
        q = layer.pooling_param
        kind = f"Pooling {get_pooling_types_dict()[q.pool]}"
        window = q.kernel_size, q.stride, q.pad
    parts = [layer.name, f"({kind})"]
    if window:
        parts.extend(map("{}: {}".format, ("kernel size", "stride", "pad"), window))
    if display_lrm and layer.type in (*_CONVOLUTIONS, "InnerProduct"):
        multipliers = get_layer_lr_mult(layer)
        if any(multipliers):
            parts.append("lr mult: {:.1f}, {:.1f}".format(*multipliers))
    return '"' + (r"\n" if rankdir == "LR" else " ").join(parts) + '"'


def choose_color_by_layertype(layertype: str) -> str:
    """The colour of a layer type's boxes, `#6495ED`."""
    return _COLORS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])


def get_pydot_graph(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """A net as a graph.

    Args:
        caffe_net: the net's message. rankdir: where its edges lead, LR, TB or BT.
        label_edges: write batch sizes and numbers of outputs at edges.
        phase: show the layers of this one only: as far as include and exclude rules name a phase.
        display_lrm: show the multipliers of the learning rate.

    Returns:
        A `pydot.Dot`, or where pydot is not installed a `pycaffe_lite.dot.Graph`; both have `to_string()` and
        `create(format=...)`.

    Raises:
        ArgumentError: with a phase: a layer has include and exclude rules.
    """
    graph = _graph(caffe_net, rankdir, label_edges, phase, display_lrm)
    try:
        import pydot
    except ImportError:
        return graph
    drawn = pydot.Dot(_in_quotes(graph.name), graph_type="digraph", rankdir=rankdir)
    nodes = {
        key: pydot.Node(_in_quotes(node.label), **{name: _in_quotes(v) for name, v in node.style.items()})
        for key, node in graph.nodes.items()
    }
    for node in nodes.values():
        drawn.add_node(node)
    for source, target, label in graph.edges:
        drawn.add_edge(pydot.Edge(nodes[source], nodes[target], label=_in_quotes(label)))
    return drawn


def _in_quotes(text: str) -> str:
    return '"' + text.replace('"', r"\"") + '"'


def _graph(
    caffe_net: caffe_pb2.NetParameter, rankdir: str, label_edges: bool, phase: int | None, display_lrm: bool
) -> Graph:
    net = caffe_pb2.NetParameter()
    net.CopyFrom(caffe_net)
    if net.layers:  # of the formats before 2014
        upgrade_net(net)
    graph = Graph(net.name or "Net", rankdir)
    for layer in net.layer:
        if phase is not None and not _is_in(layer, phase):
            continue
        key = f"{layer.name}_{layer.type}"
        is_in_place = len(layer.bottom) == 1 and list(layer.bottom) == list(layer.top)
        style = {**LAYER_STYLE_DEFAULT, "fillcolor": choose_color_by_layertype(layer.type)}
        label = get_layer_label(layer, rankdir, display_lrm)[1:-1]
        graph.nodes[key] = Node(label, NEURON_LAYER_STYLE if is_in_place else style)
        for blob in layer.bottom:
            graph.nodes[f"{blob}_blob"] = Node(blob, BLOB_STYLE)
            graph.edges.append((f"{blob}_blob", key, ""))
        edge_label = get_edge_label(layer) if label_edges else _NO_LABEL
        for blob in layer.top:
            graph.nodes[f"{blob}_blob"] = Node(blob)
            graph.edges.append((key, f"{blob}_blob", "" if edge_label == _NO_LABEL else edge_label))
    return graph


def _is_in(layer: caffe_pb2.LayerParameter, phase: int) -> bool:
    if layer.include and layer.exclude:
        raise ArgumentError(f"layer '{layer.name}' has include and exclude rules; give only one kind")
    if layer.include:
        return any(rule.phase == phase for rule in layer.include)
    return all(rule.phase != phase for rule in layer.exclude)


def draw_net(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """A net as a picture.

    Args:
        caffe_net: the net's message. rankdir: where its edges lead, LR, TB or BT.
        ext: the format: png, svg, pdf and others; dot is the graph as text.
        phase, display_lrm: as in `get_pydot_graph`.

    Raises:
        ArgumentError: there is no such format; or as in `get_pydot_graph`.
        PycaffeError: neither Graphviz nor matplotlib is installed, and the format is not svg.
    """
    return _graph(caffe_net, rankdir, True, phase, display_lrm).create(format=ext)


def draw_net_to_file(
    caffe_net: caffe_pb2.NetParameter,
    filename: str | os.PathLike[str],
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Draws a net into a file, written whole or not at all; its suffix says in which format.

    Args:
        caffe_net, rankdir, phase, display_lrm: as in `draw_net`. filename: of the file.
    """
    _graph(caffe_net, rankdir, True, phase, display_lrm).write(Path(filename))
