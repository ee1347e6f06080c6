"""Pictures of nets where Graphviz is not installed; what is drawn, the recorded cases compare."""

import shutil
import sys
import types
from xml.etree import ElementTree

import pytest
from google.protobuf import text_format

from pycaffe_lite import draw
from pycaffe_lite.errors import ArgumentError, PycaffeError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.view.dot import Graph, Node

NET = """
name: 'a "net" <1>'
layer { name: "data" type: "Input" top: "x" }
layer { name: "c<1>" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 4 } }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
layer { name: "a" type: "InnerProduct" bottom: "c" top: "a" }
layer { name: "b" type: "InnerProduct" bottom: "c" top: "b" }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }
"""
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def without_graphviz(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)


def net():
    return text_format.Parse(NET, caffe_pb2.NetParameter())


def boxes(svg):
    """The left, top, right and bottom of each node, by its label."""
    root = ElementTree.fromstring(svg)
    labels = list(root.iter(f"{SVG}text"))
    found = {}
    for polygon in root.iter(f"{SVG}polygon"):
        points = [tuple(map(float, point.split(","))) for point in polygon.get("points").split()]
        xs, ys = zip(*points, strict=True)
        left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
        inside = [
            text.text
            for text in labels
            if left <= float(text.get("x")) <= right and top <= float(text.get("y")) <= bottom
        ]
        found[" ".join(inside)] = left, top, right, bottom
    return found


@pytest.mark.parametrize("rankdir", ["LR", "TB", "BT", "RL"])
def test_boxes_lie_apart_and_in_the_order_of_the_data(rankdir):
    svg = draw.draw_net(net(), rankdir, "svg")
    found = boxes(svg)
    places = list(found.values())
    assert len(places) == 11
    for i, (left, top, right, bottom) in enumerate(places):
        for other_left, other_top, other_right, other_bottom in places[:i]:
            apart = (right <= other_left, other_right <= left, bottom <= other_top, other_bottom <= top)
            assert any(apart)
    axis, sign = {"LR": (0, 1), "RL": (0, -1), "TB": (1, 1), "BT": (1, -1)}[rankdir]
    way = [places[i][axis] for i in (0, 1, 2, 3)]  # data, x, c<1>, c
    assert way == sorted(way, reverse=sign < 0)
    root = ElementTree.fromstring(svg)
    assert min(place[0] for place in places) >= 0
    assert max(place[2] for place in places) <= float(root.get("width"))
    assert max(place[3] for place in places) <= float(root.get("height"))


def test_labels_are_escaped():
    text = draw.draw_net(net(), "LR", "svg").decode()
    assert "c&lt;1&gt;" in text
    assert r'digraph "a \"net\" <1>" {' in draw.draw_net(net(), "LR", "dot").decode()


@pytest.mark.parametrize("ext", ["svg", "png"])
def test_names_of_all_letters(ext):
    message = net()
    message.name = message.layer[0].name = "猫\x1b[2J\u202e"
    picture = draw.draw_net(message, "TB", ext)
    if ext == "svg":
        assert ElementTree.fromstring(picture).find(f"{SVG}title").text == r"猫\x1b[2J\u202e"


@pytest.mark.parametrize(
    ("ext", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<svg"), ("dot", b"dig")]
)
def test_formats(ext, start):
    assert draw.draw_net(net(), "TB", ext).startswith(start)


def test_a_format_that_there_is_not():
    with pytest.raises(ArgumentError, match="cannot draw 'doc'"):
        draw.draw_net(net(), "TB", "doc")


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PycaffeError, match=r"needs Graphviz's program dot, or matplotlib; svg needs neither"):
        draw.draw_net(net(), "TB", "png")
    assert draw.draw_net(net(), "TB", "svg")


def test_graphviz_is_asked_where_it_is(monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho $1\ncat\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    assert draw.draw_net(net(), "TB", "png").startswith(b"-Tpng\ndigraph")
    program.write_text("#!/bin/sh\necho no such format >&2; exit 1\n")
    with pytest.raises(ArgumentError, match="Graphviz cannot draw xyz: no such format"):
        draw.draw_net(net(), "TB", "xyz")


def test_pydots_graph_is_made_where_pydot_is(monkeypatch):
    class Dot:
        def __init__(self, name, **options):
            self.name, self.options, self.nodes, self.edges = name, options, [], []

        def add_node(self, node):
            self.nodes.append(node)

        def add_edge(self, edge):
            self.edges.append(edge)

    pydot = types.SimpleNamespace(Dot=Dot, Node=lambda *a, **k: (a, k), Edge=lambda *a, **k: (a, k))
    monkeypatch.setitem(sys.modules, "pydot", pydot)
    graph = draw.get_pydot_graph(net(), "LR")
    assert (graph.name, graph.options["rankdir"]) == (r'"a \"net\" <1>"', "LR")
    assert (len(graph.nodes), len(graph.edges)) == (11, 12)
    assert graph.nodes[1] == (('"x"',), {k: f'"{v}"' for k, v in draw.BLOB_STYLE.items()})


def test_an_old_net_is_upgraded_first():
    old = text_format.Parse('layers { name: "r" type: RELU bottom: "x" top: "y" }', caffe_pb2.NetParameter())
    assert r'"r\n(ReLU)"' in draw.get_pydot_graph(old, "LR").to_string()
    assert len(old.layers) == 1


def test_a_circle_and_a_node_on_its_own():
    nodes = {name: Node(name) for name in "abc"}
    graph = Graph("g", "TB", nodes, [("a", "b", ""), ("b", "a", "back")])
    found = boxes(graph.create("svg"))
    assert found["a"][1] < found["b"][1]
    assert found["c"][1] == found["a"][1]
