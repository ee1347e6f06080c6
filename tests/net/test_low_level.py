import pytest

from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

TEXT = """
layer { name: "in" type: "Input" top: "x" top: "t" input_param { shape { dim: 2 dim: 2 } } }
layer { name: "double" type: "Power" bottom: "x" top: "y" power_param { scale: 2 } }
layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" loss_weight: 3 }
layer { name: "aside" type: "Power" bottom: "t" top: "aside" }
"""


@pytest.fixture(scope="module")
def net():
    return Net.from_text(TEXT, caffe_pb2.TEST)


def test_layers_and_blobs_are_numbered_as_they_run_and_are_made(net):
    assert net._layer_names == ["in", "t_in_1_split", "double", "relu", "loss", "aside"]
    assert net._blob_names == ["x", "t", "t_in_1_split_0", "t_in_1_split_1", "y", "loss", "aside"]
    assert net._blobs == [net.blobs[name] for name in net._blob_names]
    assert net._blob_loss_weights == [0, 0, 0, 0, 0, 3, 0]


def test_inputs_and_outputs(net):
    assert net._inputs == [0, 1]
    assert sorted(net._outputs) == [5, 6]


def test_blobs_of_a_layer(net):
    loss = net._layer_names.index("loss")
    assert (net._bottom_ids(loss), net._top_ids(loss)) == ([4, 2], [5])
    relu = net._layer_names.index("relu")
    assert net._bottom_ids(relu) == net._top_ids(relu) == [4]  # in place


LISTS = ["_layer_names", "_blob_names", "_blobs", "_blob_loss_weights", "_inputs", "_outputs"]


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_fresh_ones(net, name):
    before = list(getattr(net, name))
    getattr(net, name).clear()
    assert getattr(net, name) == before


def test_lists_of_a_layers_blobs_are_fresh_ones(net):
    for ids in (net._top_ids, net._bottom_ids):
        before = list(ids(4))
        ids(4).clear()
        assert ids(4) == before
