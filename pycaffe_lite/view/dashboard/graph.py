"""The drawing of a net, for the page: of one that is at work, or of one whose log is all that there is."""

from __future__ import annotations

import re
from itertools import islice, takewhile
from pathlib import Path

from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.net.net import Net
from pycaffe_lite.printable import printable
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse, upgrade_part
from pycaffe_lite.solver.log_lines import log_lines
from pycaffe_lite.view.dashboard.record import DrawnGraph
from pycaffe_lite.view.drawing import DrawnLayer, DrawnNet, drawn_from
from pycaffe_lite.view.net_page import facts_of, layer_entry
from pycaffe_lite.view.shaped import ShapedNet

# Where a log has a net, as far as it is looked through; the net ends with the next line of glog's.
MOST_LINES = 50_000
_BEGINNING = "Initializing net from parameters:"
_PREFIX = re.compile(r"[IWEF]\d{4,8} ")


def drawn_graph(net: Net) -> DrawnGraph:
    """Draws a net with its shapes and costs."""
    names = {node.layer.name for node in net.graph.nodes if node.layer.type != "Split"}
    return drawing_of(drawn_from(ShapedNet(net, names)))


def graph_in_log(path: Path) -> DrawnGraph | None:
    """Draws the first net that a log, ours or Caffe's, tells of: the train net, without shapes.

    Returns:
        None if no net stands near the beginning of the log, or one that cannot be read.

    Raises:
        FileLookupError, DataError: the log cannot be read.
    """
    lines = islice(log_lines(path), MOST_LINES)
    if not any(_BEGINNING in line for line in lines):
        return None
    text = "".join(takewhile(lambda line: not _PREFIX.match(line), lines))
    try:
        net = upgrade_part(parse(text, caffe_pb2.NetParameter)).message
        layers = [DrawnLayer(layer) for layer in net.layer]
        return drawing_of(DrawnNet(net.name or "Net", layers)) if layers else None
    except PycaffeError:
        return None


def drawing_of(net: DrawnNet) -> DrawnGraph:
    """Lays a net out."""
    svg = net.layer_graph("TB").picture().svg()
    layers = {str(i): layer_entry(layer) for i, layer in enumerate(net.layers)}
    return DrawnGraph(printable(net.name), svg, facts_of(net), layers)
