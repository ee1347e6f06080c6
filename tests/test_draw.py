"""Pictures of nets where Graphviz is not installed; what is drawn, the recorded cases compare."""

import shutil
import sys
import types
from xml.etree import ElementTree

import pytest
from google.protobuf import text_format

from pycaffe_lite import draw
from pycaffe_lite.proto import caffe_pb2

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
