"""Drawings and pages of nets."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from paths import ROOT

from pycaffe_lite import TEST, TRAIN
from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.view.drawing import drawn_net
from pycaffe_lite.view.net_page import net_page

NET = """
name: "<script>alert(1)</script>"
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 5 dim: 5 } } }
layer { name: "c</script><b>" type: "Convolution" bottom: "x" top: "@DATA@"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "\\033[2J" type: "ReLU" bottom: "@DATA@" top: "@DATA@" }
layer { name: "tr" type: "Dropout" bottom: "@DATA@" top: "d" include { phase: TRAIN } }
layer { name: "te" type: "Softmax" bottom: "@DATA@" top: "p" include { phase: TEST } }
"""


@pytest.fixture
def net_file(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return path


def test_blobs_and_layers(net_file):
    graph = drawn_net(net_file, TEST).blob_graph("LR")
    labels = {key: node.label for key, node in graph.nodes.items()}
    edges = [(labels[a], labels[b], label) for a, b, label in graph.edges]
    convolution = r"c</script><b>\n(Convolution)\nkernel size: 3\nstride: 1\npad: 0"
    assert edges == [
        (r"data\n(Input)", "x", "1x3x5x5"),
        ("x", convolution, ""),
        (convolution, "@DATA@", "1x4x3x3"),
        ("@DATA@", r"\\x1b[2J\n(ReLU)", ""),
        (r"\\x1b[2J\n(ReLU)", "@DATA@", ""),
        ("@DATA@", r"te\n(Softmax)", ""),
        (r"te\n(Softmax)", "p", "1x4x3x3"),
    ]
    colours = [node.style["fillcolor"] for node in graph.nodes.values() if node.style["shape"] == "box"]
    assert colours == ["#6495ED", "#FF5050", "#90EE90", "#6495ED"]


def test_names_with_backslashes(tmp_path):
    """In Graphviz's language they are doubled, so that none escapes what follows it; pictures show one."""
    path = tmp_path / "net.prototxt"
    path.write_text(r'layer { name: "a\\n" type: "ReLU" bottom: "x\\" top: "y" }')
    graph = drawn_net(path, None).blob_graph("LR")
    assert r'"a\\n\n(ReLU)" -> y' in graph.to_string()
    assert r'"x\\" -> ' in graph.to_string()
    texts = [element.text for element in ElementTree.fromstring(graph.draw("svg")).iter()]
    assert {"a\\n", "(ReLU)", "x\\"} <= set(texts)


def test_layers_alone(net_file):
    graph = drawn_net(net_file, TRAIN).layer_graph("TB")
    assert [(a, b, label) for a, b, label in graph.edges] == [
        ("0", "1", "1x3x5x5"),
        ("1", "2", "1x4x3x3"),
        ("2", "3", "1x4x3x3"),
    ]


def test_both_phases(net_file):
    net = drawn_net(net_file, None)
    assert [layer.param.name for layer in net.layers][-2:] == ["tr", "te"]
    assert {label for _, _, label in net.blob_graph("LR").edges} == {"", "4"}  # num_output, as in Caffe


def test_a_net_that_cannot_be_built_is_drawn_without_shapes(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "a" type: "Nobodys" top: "x" } layer { name: "b" type: "ReLU" bottom: "x" }'
    )
    net = drawn_net(path, TEST)
    assert net.remarks[0].startswith("The net is drawn without shapes: ")
    assert len(net.layer_graph("TB").edges) == 1
    path.write_text("name: 'empty'")
    with pytest.raises(ArgumentError, match="no layers in phase TEST"):
        drawn_net(path, TEST)


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and the text of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        (self.scripts if self.elements and self.elements[-1][0] == "script" else self.texts).append(data)


def test_the_page_shows_names_as_text(net_file):
    net = drawn_net(net_file, TEST)
    page = Page(net_page(net, net.layer_graph("TB")))
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 2
    assert "b" not in tags
    data = json.loads(page.scripts[0])
    assert data["name"] == "<script>alert(1)</script>"
    assert data["layers"]["1"]["name"] == "c</script><b>"
    assert data["layers"]["2"]["name"] == r"\x1b[2J"
    assert "num_output: 4" in data["layers"]["1"]["text"]
    assert ["multiply-adds", "972"] in data["layers"]["1"]["facts"]
    assert "c</script><b>" in page.texts


def test_the_page_needs_nothing_from_elsewhere(net_file):
    net = drawn_net(net_file, TEST)
    text = net_page(net, net.layer_graph("TB"))
    assert "default-src 'none'" in text
    addresses = set(re.findall(r"https?://[^\"' ]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, which no browser looks up
    assert not any({"src", "href"} & attributes.keys() for _, attributes in Page(text).elements)


@pytest.mark.parametrize("net", ["lenet", "googlenet"])
def test_pages_and_pictures_of_nets(net):
    drawn = drawn_net(f"{ROOT}/models/{net}/{net}.prototxt", TEST)
    graph = drawn.layer_graph("TB")
    svg = ElementTree.fromstring(graph.draw("svg"))
    keys = [group.get("data-key") for group in svg.iter("{http://www.w3.org/2000/svg}g")]
    assert keys == [str(i) for i in range(len(drawn.layers))]
    data = json.loads(Page(net_page(drawn, graph)).scripts[0])
    assert len(data["layers"]) == len(drawn.layers)
    assert ["parameters", {"lenet": "431 k", "googlenet": "7.00 M"}[net]] in data["facts"]
