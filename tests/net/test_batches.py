from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pycaffe_lite.errors import ArgumentError, ArgumentTypeError
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto.caffe_pb2 import TEST

NET = """
force_backward: true
layer { name: "in" type: "Input" top: "x" top: "z" input_param { shape { dim: 4 dim: 2 } shape { dim: 4 } } }
layer { name: "double" type: "Power" bottom: "x" top: "y" power_param { scale: 2 } }
layer { name: "silence" type: "Silence" bottom: "z" }
"""
SUM = 'layer { name: "sum" type: "Reduction" bottom: "y" top: "s" }'
X = np.arange(20, dtype=np.float32).reshape(10, 2)


@pytest.fixture
def net():
    return Net.from_text(NET, TEST)


@pytest.mark.parametrize("count", [1, 4, 9])
def test_any_number_of_items(net, count):
    out = net.forward_all(x=X[:count], z=X[:count, 0], blobs=["x"])
    assert sorted(out) == ["x", "y"]
    assert np.array_equal(out["y"], 2 * X[:count])
    assert not np.shares_memory(out["y"], net.blobs["y"].data)


def test_backward_too(net):
    outs, diffs = net.forward_backward_all(x=X, z=X[:, 0], y=X + 1, diffs=["y"])
    assert np.array_equal(outs["y"], 2 * X)
    assert np.array_equal(diffs["x"], 2 * (X + 1))
    assert np.array_equal(diffs["y"], X + 1)
    assert diffs["z"].shape == (10,)


def test_lists_are_items_too(net):
    assert net.forward_all(x=X.tolist(), z=[0] * 10)["y"].shape == (10, 2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "there is nothing to run the net on: give an array by the name of an input"),
        ({"x": X, "z": X[:3, 0]}, "all arrays need as many items, got 10 of 'x', 3 of 'z'"),
        ({"q": X}, "the input arguments are q, but the net's inputs are x, z"),
    ],
)
def test_errors(net, arrays, message):
    with pytest.raises(ArgumentError, match=f"^{message}$"):
        net.forward_all(**arrays)


def test_what_is_neither_input_nor_output(net):
    message = r"'q' is neither an input nor an output of the net \(these are: x, z, y\)"
    with pytest.raises(ArgumentError, match=message):
        net.forward_backward_all(q=X)


def test_outputs_that_are_not_of_items():
    net = Net.from_text(NET + SUM, TEST)
    with pytest.raises(ArgumentTypeError, match="blob 's' is a single number, not one for each item"):
        net.forward_all(x=X, z=X[:, 0])


def test_a_first_axis_that_is_not_the_batch():
    twice = 'layer { name: "t" type: "Reshape" bottom: "y" top: "t" reshape_param { shape { dim: 8 } } }'
    net = Net.from_text(NET + twice, TEST)
    assert net.forward_all(x=X[:8], z=X[:8, 0])["t"].shape == (16,)
    with pytest.raises(ArgumentTypeError, match=r"blob 't' has shape \(8,\), without the 4 items"):
        net.forward_all(x=X, z=X[:, 0])


def test_threads_that_share_a_net_get_their_own_results(net):
    """Each call has the net to itself from its first batch to its last."""
    items = [np.full((50, 2), i, np.float32) for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outs = list(pool.map(lambda x: net.forward_all(x=x, z=x[:, 0])["y"], items))
    for x, y in zip(items, outs, strict=True):
        assert np.array_equal(y, 2 * x)
