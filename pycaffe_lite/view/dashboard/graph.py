"""The drawing of a net, for the page: of one that is at work, or of one whose log is all that there is."""

from __future__ import annotations

from pycaffe_lite.net.net import Net
from pycaffe_lite.printable import printable
from pycaffe_lite.view.dashboard.record import DrawnGraph
from pycaffe_lite.view.drawing import DrawnNet, drawn_from
from pycaffe_lite.view.net_page import facts_of, layer_entry
from pycaffe_lite.view.shaped import ShapedNet


def drawn_graph(net: Net) -> DrawnGraph:
    """Draws a net with its shapes and costs."""
    names = {node.layer.name for node in net.graph.nodes if node.layer.type != "Split"}
    return drawing_of(drawn_from(ShapedNet(net, names)))


def drawing_of(net: DrawnNet) -> DrawnGraph:
    """Lays a net out."""
    svg = net.layer_graph("TB").picture().svg()
    layers = {str(i): layer_entry(layer) for i, layer in enumerate(net.layers)}
    return DrawnGraph(printable(net.name), svg, facts_of(net), layers)
