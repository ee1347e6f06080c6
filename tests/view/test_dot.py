import shutil
import sys
from xml.etree import ElementTree

import pytest

from pycaffe_lite.errors import ArgumentError, PycaffeError
from pycaffe_lite.view.dot import Graph, Node

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def without_graphviz(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)


def graph_of(edges, rankdir="TB", **styles):
    """A graph of edges such as "ab", whose nodes have their key for a label."""
    keys = dict.fromkeys("".join(edges))
    nodes = {key: Node(key, styles.get(key, {})) for key in keys}
    return Graph("g", rankdir, nodes, [(edge[0], edge[1], "") for edge in edges if len(edge) == 2])


def boxes(svg):
    """The left, top, right and bottom of each node, by its label."""
    root = ElementTree.fromstring(svg)
    found = {}
    for polygon in root.iter(f"{SVG}polygon"):
        points = [tuple(map(float, point.split(","))) for point in polygon.get("points").split()]
        xs, ys = zip(*points, strict=True)
        left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
        inside = [
            text.text
            for text in root.iter(f"{SVG}text")
            if left <= float(text.get("x")) <= right and top <= float(text.get("y")) <= bottom
        ]
        found[" ".join(inside)] = left, top, right, bottom
    return found


def test_graphvizs_language():
    nodes = {
        "d": Node("data", {"shape": "octagon", "fillcolor": "#E0E0E0"}),
        "c": Node(r"conv\n(5x5)"),
        "n": Node("-3"),
    }
    graph = Graph("a net", "LR", nodes, [("d", "c", ""), ("c", "n", "20 maps")])
    assert graph.to_string() == (
        'digraph "a net" {\n'
        "rankdir=LR;\n"
        'data [shape=octagon, fillcolor="#E0E0E0"];\n'
        '"conv\\n(5x5)";\n'
        "-3;\n"
        'data -> "conv\\n(5x5)" [label=""];\n'
        '"conv\\n(5x5)" -> -3 [label="20 maps"];\n'
        "}\n"
    )
    assert graph.create("dot") == graph.create("raw") == graph.to_string().encode()


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a_1", "a_1"),
        ("12", "12"),
        ("1a", '"1a"'),
        ("", '""'),
        ("größe", '"größe"'),
        ('a"b', r'"a\"b"'),
        (r"a\nb", r'"a\nb"'),
        ("C:\\", r'"C:\\"'),
        (r"a\"b", r'"a\\\"b"'),
    ],
)
def test_words_are_quoted_where_they_have_to_be(text, quoted):
    assert Graph(text).to_string().splitlines()[0] == f"digraph {quoted} {{"


EDGES = ["ab", "bc", "bd", "ce", "de", "ae"]


@pytest.mark.parametrize("rankdir", ["LR", "TB", "BT", "RL"])
def test_boxes_lie_apart_in_the_order_of_the_edges_and_inside(rankdir):
    svg = graph_of(EDGES, rankdir).create("svg")
    found = boxes(svg)
    places = list(found.values())
    assert len(places) == 5
    for i, (left, top, right, bottom) in enumerate(places):
        for other_left, other_top, other_right, other_bottom in places[:i]:
            apart = (right <= other_left, other_right <= left, bottom <= other_top, other_bottom <= top)
            assert any(apart)
    axis, sign = {"LR": (0, 1), "RL": (0, -1), "TB": (1, 1), "BT": (1, -1)}[rankdir]
    way = [found[key][axis] for key in "abce"]
    assert way == sorted(way, reverse=sign < 0)
    assert found["c"][axis] == found["d"][axis]  # both as far on as the longest way to them
    root = ElementTree.fromstring(svg)
    assert min(min(place) for place in places) >= 0
    assert max(place[2] for place in places) <= float(root.get("width"))
    assert max(place[3] for place in places) <= float(root.get("height"))


def test_a_node_is_as_far_on_as_the_longest_way_to_it():
    found = boxes(graph_of(["ax", "xe", "ab", "bc", "ce"]).create("svg"))
    assert found["x"][1] == found["b"][1]
    assert found["e"][1] > found["c"][1]


def test_a_circle_and_a_node_on_its_own():
    found = boxes(graph_of(["ab", "ba", "c"]).create("svg"))
    assert found["a"][1] < found["b"][1]
    assert found["c"][1] == found["a"][1]


def test_edges_do_not_cross_where_that_can_be():
    found = boxes(graph_of(["a", "b", "bc", "ad"]).create("svg"))
    assert (found["a"][0] < found["b"][0]) == (found["d"][0] < found["c"][0])


def test_an_empty_graph():
    assert boxes(Graph("nothing").create("svg")) == {}


def test_words_are_escaped_and_printable():
    nodes = {"a": Node(r"c<1>\n猫\x1b"), "b": Node("b")}
    svg = Graph("1 < 2\u202e", nodes=nodes, edges=[("a", "b", "x & y")]).create("svg")
    root = ElementTree.fromstring(svg)
    assert root.find(f"{SVG}title").text == r"1 < 2\u202e"
    assert {text.text for text in root.iter(f"{SVG}text")} == {"x & y", "c<1>", r"猫\x1b", "b"}


def test_shapes_and_colours():
    root = ElementTree.fromstring(graph_of(["ab"], b={"shape": "octagon", "fillcolor": "red"}).create("svg"))
    a, b = root.iter(f"{SVG}polygon")
    assert len(set(a.get("points").split())) == 4
    assert len(set(b.get("points").split())) == 8
    assert (a.get("fill"), b.get("fill")) == ("white", "red")


@pytest.mark.parametrize(("format", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<svg")])
def test_formats(format, start):
    assert graph_of(EDGES).create(format).startswith(start)


def test_a_format_that_there_is_not():
    with pytest.raises(ArgumentError, match="cannot draw 'doc'"):
        graph_of(EDGES).create("doc")


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PycaffeError, match=r"needs Graphviz's program dot, or matplotlib; svg needs neither"):
        graph_of(EDGES).create("png")
    assert graph_of(EDGES).create("svg")


def test_graphviz_is_asked_where_it_is(monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho $1\ncat\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    graph = graph_of(EDGES)
    assert graph.create("png") == b"-Tpng\n" + graph.to_string().encode()
    program.write_text("#!/bin/sh\necho no such format >&2; exit 1\n")
    with pytest.raises(ArgumentError, match="Graphviz cannot draw xyz: no such format"):
        graph.create("xyz")


def test_the_suffix_of_a_file_says_its_format(tmp_path):
    graph = graph_of(EDGES)
    for name, format in (("a.svg", None), ("b.txt", "svg")):
        graph.write(tmp_path / name, format)
        assert (tmp_path / name).read_bytes().startswith(b"<svg")
    graph.write(tmp_path / "c")
    assert (tmp_path / "c").read_text() == graph.to_string()
    with pytest.raises(PycaffeError):
        graph.write(tmp_path / "none" / "a.svg")
