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

from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.upgrade import upgrade_net
from pycaffe_lite.view.caffe_style import (
    BLOB_STYLE,
    LAYER_STYLE_DEFAULT,
    NEURON_LAYER_STYLE,
    NO_LABEL,
    choose_color_by_layertype,
    get_edge_label,
    get_layer_label,
    get_layer_lr_mult,
    get_pooling_types_dict,
)
from pycaffe_lite.view.dot import Graph, Node

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
        A `pydot.Dot`, or where pydot is not installed a `pycaffe_lite.view.dot.Graph`; both have
        `to_string()` and `create(format=...)`.

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
        edge_label = get_edge_label(layer) if label_edges else NO_LABEL
        for blob in layer.top:
            graph.nodes[f"{blob}_blob"] = Node(blob)
            graph.edges.append((key, f"{blob}_blob", "" if edge_label == NO_LABEL else edge_label))
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
