"""A Concat's top holds its bottoms' data only if no value of any blob changes by that."""

import numpy as np
import pytest

from pycaffe_lite import random
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

INPUT = "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 3 dim: 9 dim: 8 } } }"
LEFT = """layer { name: 'left' type: 'Convolution' bottom: 'x' top: 'a' convolution_param {
    num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: 'gaussian' std: 0.3 } } }
    layer { name: 'relu' type: 'ReLU' bottom: 'a' top: 'a' }"""
RIGHT = """layer { name: 'right' type: 'Pooling' bottom: 'x' top: 'b' pooling_param {
    pool: %s kernel_size: 3 stride: 1 pad: 1 } }"""
MAX, AVE = RIGHT % "MAX", RIGHT % "AVE"
JOIN = "layer { name: 'join' type: 'Concat' bottom: 'a' bottom: 'b' top: 'y' }"
LAST = """layer { name: 'ip' type: 'InnerProduct' bottom: 'y' top: 'z' inner_product_param {
    num_output: 5 weight_filler { type: 'xavier' } } }"""
SPLIT_READERS = """layer { name: 'copy' type: 'Power' bottom: 'y' top: 'copy' }
    layer { name: 'down' type: 'Power' bottom: 'y' top: 'down' }"""


def build(*layers: str, hold: bool = True) -> Net:
    random.set_random_seed(3)
    text = "state { phase: TEST } force_backward: true " + " ".join(layers)
    net = Net.from_document(parse(text, caffe_pb2.NetParameter))
    if not hold:
        net.layer_dict["join"].holds_bottoms = False
        net.reshape()
    fill(net)
    return net


def fill(net: Net) -> None:
    net.blobs["x"].data[...] = np.random.RandomState(1).randn(*net.blobs["x"].shape)


def holds(net: Net) -> bool:
    top = net.blobs[net.top_names["join"][0]]
    return all(np.shares_memory(net.blobs[name].data, top.data) for name in net.bottom_names["join"])


@pytest.mark.parametrize("pool", [MAX, AVE])
def test_all_blobs_have_the_values_that_copies_have(pool):
    layers = INPUT, LEFT, pool, JOIN, LAST
    one, other = build(*layers), build(*layers, hold=False)
    assert holds(one)
    assert not holds(other)
    for net in (one, other):
        net.forward()
        net.blobs["z"].diff[...] = 1
        net.backward()
    for name, blob in one.blobs.items():
        assert np.array_equal(blob.data, other.blobs[name].data), name
        assert np.array_equal(blob.diff, other.blobs[name].diff), name
    joined = np.concatenate([one.blobs["a"].data, one.blobs["b"].data], axis=1)
    assert np.array_equal(one.blobs["y"].data, joined)


def test_views_stay_alive():
    net = build(INPUT, LEFT, MAX, JOIN)
    views = {name: blob.data for name, blob in net.blobs.items()}
    net.forward()
    for name, view in views.items():
        assert np.shares_memory(view, net.blobs[name].data), name
        assert view.any(), name


SHAPES = {"a smaller image": (1, 3, 5, 8), "more images, smaller": (2, 3, 3, 8), "one image": (1, 3, 9, 8)}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("images", [1, 4])
def test_views_of_bottoms_outlive_reshapes_within_their_memory(images, shape):
    net = build(INPUT.replace("dim: 1", f"dim: {images}", 1), LEFT, MAX, JOIN)
    views = {name: net.blobs[name].data.reshape(-1) for name in ("x", "a", "b")}
    net.forward()
    net.blobs["x"].reshape(*shape)
    fill(net)
    net.forward()
    for name, view in views.items():
        assert np.array_equal(view[: net.blobs[name].count], net.blobs[name].data.ravel()), name
    joined = np.concatenate([net.blobs["a"].data, net.blobs["b"].data], axis=1)
    assert np.array_equal(net.blobs["y"].data, joined)


def test_a_larger_image_is_joined_again():
    net = build(INPUT, LEFT, MAX, JOIN)
    net.forward()
    for height, joined in ((7, False), (20, True), (20, True)):
        net.blobs["x"].reshape(1, 3, height, 8)
        fill(net)
        net.forward()
        assert holds(net) == joined


@pytest.mark.parametrize(
    "layers",
    [
        # somebody else writes to the top, under one name or another
        (LEFT, MAX, JOIN, "layer { name: 'over' type: 'ReLU' bottom: 'y' top: 'y' }"),
        (
            LEFT,
            MAX,
            JOIN,
            "layer { name: 'split' type: 'Split' bottom: 'y' top: 'copy' top: 'down' }",
            "layer { name: 'over' type: 'ReLU' bottom: 'down' top: 'down' }",
        ),
        (
            LEFT,
            MAX,
            JOIN,
            "layer { name: 'flat' type: 'Flatten' bottom: 'y' top: 'flat' }",
            "layer { name: 'over' type: 'ReLU' bottom: 'flat' top: 'flat' }",
        ),
        # somebody else reads a bottom
        (LEFT, MAX, JOIN, "layer { name: 'other' type: 'Power' bottom: 'a' top: 'other' }"),
        # a bottom that comes from outside, or twice
        (LEFT, "layer { name: 'join' type: 'Concat' bottom: 'a' bottom: 'x' top: 'y' }"),
        (LEFT, "layer { name: 'join' type: 'Concat' bottom: 'a' bottom: 'a' top: 'y' }"),
    ],
    ids=["in place", "in place on a copy", "in place, flat", "two readers", "input", "twice"],
)
def test_bottoms_keep_their_values(layers):
    net = build(INPUT, *layers)
    assert not holds(net)
    net.forward(end="join")
    before = [net.blobs[name].data.copy() for name in net.bottom_names["join"]]
    joined = np.concatenate(before, axis=1)
    assert np.array_equal(net.blobs["y"].data, joined)
    net.forward()
    for name, values in zip(net.bottom_names["join"], before, strict=True):
        assert np.array_equal(net.blobs[name].data, values), name


def test_split_readers_see_the_same():
    net = build(INPUT, LEFT, MAX, JOIN, SPLIT_READERS)
    assert holds(net)
    net.forward()
    assert np.array_equal(net.blobs["copy"].data, net.blobs["y"].data)
    assert np.array_equal(net.blobs["copy"].data, net.blobs["down"].data)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_other_shapes(axis):
    join = JOIN.replace("top: 'y'", f"top: 'y' concat_param {{ axis: {axis} }}")
    narrow = LEFT.replace("num_output: 4", "num_output: 3")
    net = build(INPUT, narrow, MAX, join)
    assert holds(net) == (axis < 2)
    for shape in ((1, 3, 9, 8), (2, 3, 4, 5), (1, 3, 5, 3), (1, 3, 12, 13), (3, 3, 12, 13), (1, 3, 2, 2)):
        net.blobs["x"].reshape(*shape)
        fill(net)
        for _ in range(2):
            net.forward()
            assert net.blobs["a"].data.any()
            parts = [net.blobs[name].data for name in ("a", "b")]
            assert np.array_equal(net.blobs["y"].data, np.concatenate(parts, axis=axis)), shape
            fresh = build(INPUT.replace("dim: 1 dim: 3 dim: 9 dim: 8", " ".join(f"dim: {n}" for n in shape)),
                          narrow, MAX, join, hold=False)  # fmt: skip
            fresh.forward()
            assert np.array_equal(net.blobs["y"].data, fresh.blobs["y"].data), shape
        assert holds(net) <= (np.prod(shape[:axis]) == 1)
