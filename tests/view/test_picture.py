"""Where a graph's pieces stand in its picture."""

import pytest

from pycaffe_lite.view.picture import Picture

BOX = (["node"], {"shape": "box"})


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_labels_of_edges_that_part_stand_where_their_edges_go(rankdir):
    edges = [("top", "a", "64x1x28x28"), ("top", "b", "64")]
    picture = Picture("a net", rankdir, dict.fromkeys(["top", "a", "b"], BOX), edges)
    axis = 1 if picture.is_sideways else 0
    begins = picture.layout.boxes["top"][axis]
    for index, (_, target, _) in enumerate(edges):
        label, end = picture.place_of_label(index)[axis], picture.layout.boxes[target][axis]
        assert (label < begins) == (end < begins)
        assert 0 <= picture.place_of_label(index)[0] < picture.layout.width


def test_the_label_of_a_single_edge_stands_beside_its_beginning():
    picture = Picture("a net", "TB", {"top": BOX, "a": BOX}, [("top", "a", "64")])
    (x, y), _ = picture.layout.routes[0][:2]
    assert picture.place_of_label(0) == (x + 5, y + 13)
