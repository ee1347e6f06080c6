"""Layered layout: boxes apart, edges along the ranks, and no edge through a box."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import ROOT

from pycaffe_lite import TEST
from pycaffe_lite.view.drawing import drawn_net
from pycaffe_lite.view.layout import lay_out

DIRECTIONS = ("TB", "BT", "LR", "RL")


def overlap(a, b):
    return abs(a.x - b.x) * 2 < a.width + b.width and abs(a.y - b.y) * 2 < a.height + b.height


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 12))
    sizes = {str(i): (draw(st.integers(10, 150)), draw(st.integers(10, 60))) for i in range(count)}
    ends = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(ends, ends).filter(lambda pair: pair[0] < pair[1]), max_size=20))
    return sizes, [(str(a), str(b)) for a, b in pairs]


@settings(max_examples=60, deadline=None)
@given(graphs(), st.sampled_from(DIRECTIONS))
def test_boxes_lie_apart_inside_of_the_picture(graph, rankdir):
    sizes, edges = graph
    layout = lay_out(sizes, edges, rankdir)
    boxes = list(layout.boxes.values())
    for i, box in enumerate(boxes):
        assert box.width / 2 <= box.x <= layout.width - box.width / 2
        assert box.height / 2 <= box.y <= layout.height - box.height / 2
        assert not any(overlap(box, other) for other in boxes[:i])


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_edges_lead_down_and_round_the_boxes(graph):
    sizes, edges = graph
    layout = lay_out(sizes, edges)
    for (a, b), route in zip(edges, layout.routes, strict=True):
        heights = [y for _, y in route]
        assert heights == sorted(heights)
        first, last = layout.boxes[a], layout.boxes[b]
        assert route[0] == (first.x, first.y + first.height / 2)
        assert route[-1] == (last.x, last.y - last.height / 2)
        for x, y in route[1:-1]:
            assert not any(
                abs(x - box.x) < box.width / 2 and abs(y - box.y) < box.height / 2
                for box in layout.boxes.values()
            )


def test_a_chain_is_straight():
    sizes = {name: (40 + 30 * i, 20) for i, name in enumerate("abcd")}
    layout = lay_out(sizes, [("a", "b"), ("b", "c"), ("c", "d")])
    assert len({round(box.x, 3) for box in layout.boxes.values()}) == 1


def test_crossings_are_taken_out():
    """Two chains that are told in each other's order."""
    sizes = dict.fromkeys(("a", "b", "b2", "a2", "a3", "b3"), (40, 20))
    layout = lay_out(sizes, [("a", "a2"), ("b", "b2"), ("a2", "a3"), ("b2", "b3")])
    left = [
        layout.boxes[name].x < layout.boxes[other].x for name, other in ("ab", ("a2", "b2"), ("a3", "b3"))
    ]
    assert left in ([True] * 3, [False] * 3)


def test_an_edge_back_and_a_label():
    sizes = {"blob": (40, 20), "relu": (40, 20), "next": (40, 20)}
    edges = [("blob", "relu"), ("relu", "blob"), ("blob", "next")]
    layout = lay_out(sizes, edges, "TB", [(0, 0), (0, 0), (200, 10)])
    there, back, _ = layout.routes
    assert there[0][0] < back[-1][0]  # side by side
    assert layout.boxes["blob"].x >= 200
    assert lay_out({}, []).boxes == {}


@pytest.mark.parametrize("kind", ["layer_graph", "blob_graph"])
def test_googlenet_is_laid_out_at_once(kind):
    graph = getattr(drawn_net(f"{ROOT}/models/googlenet/googlenet.prototxt", TEST), kind)("TB")
    start = time.perf_counter()
    layout = graph.picture().layout
    assert time.perf_counter() - start < 2
    assert layout.width < 2200  # an inception module beside itself, not all of them
    trunk = [layout.boxes[key] for key, node in graph.nodes.items() if node.label.startswith("inception_4")]
    boxes = list(layout.boxes.values())
    assert trunk
    assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
