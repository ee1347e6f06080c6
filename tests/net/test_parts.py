import numpy as np
import pytest

from pycaffe_lite.errors import LayerError
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.parts import Backward, Forward
from pycaffe_lite.proto import caffe_pb2

TEXT = """
force_backward: true
layer { name: "in" type: "Input" top: "x" top: "t" input_param {
  shape { dim: 2 dim: 2 dim: 1 dim: 1 } shape { dim: 2 } } }
layer { name: "slope" type: "ReLU" bottom: "x" top: "x" relu_param { negative_slope: 0.5 } }
layer { name: "pool" type: "Pooling" bottom: "x" top: "p" pooling_param { kernel_size: 1 } }
layer { name: "conv" type: "Convolution" bottom: "p" top: "y" convolution_param {
  num_output: 2 kernel_size: 1 weight_filler { type: "uniform" min: -1 } } }
layer { name: "scale" type: "Scale" bottom: "y" top: "y" scale_param { filler { value: -2 } } }
layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" loss_weight: 3 }
layer { name: "some" type: "Filter" bottom: "y" bottom: "t" top: "some" }
"""
X = np.array([[-1, 2], [4, -5]], np.float32).reshape(2, 2, 1, 1)


@pytest.fixture
def nodes():
    """The nodes by name, of a net that has run forward once."""
    net = Net.from_text(TEXT, caffe_pb2.TEST)
    net.blobs["x"].data[...] = X
    net.forward()
    return {node.layer.name: node for node in net.graph.nodes}


def test_a_layer_runs_and_returns_its_share_of_the_loss(nodes):
    conv, loss = Forward([nodes["conv"]]), Forward([nodes["loss"]])
    y = nodes["conv"].top[0].data
    y[...] = np.nan
    assert conv.run() == 0
    assert np.isfinite(y).all()
    assert loss.run() == pytest.approx(3 * float(nodes["loss"].top[0].data))


def test_after_a_replay_bad_values_are_told_and_the_share_is_returned(nodes):
    part = Forward([nodes["loss"]])
    share = part.run()
    assert part.is_replayable
    assert sum(call() for call in part.after) == share
    assert Forward([nodes["conv"]]).after == []
    nodes["loss"].bottom[1].data[...] = 5
    with pytest.raises(LayerError, match="label 5 at"):
        part.run()
    with pytest.raises(LayerError, match="label 5 at"):
        part.after[0]()


def test_followers_run_in_the_epilogue(nodes):
    together = [nodes[name] for name in ("conv", "scale", "relu")]
    y = nodes["conv"].top[0].data
    for node in together:
        Forward([node]).run()
    right = y.copy()
    assert (right == 0).any()
    assert (right > 0).any()
    y[...] = np.nan
    part = Forward(together)
    part.run()
    np.testing.assert_allclose(y, right, rtol=1e-6)
    assert part.is_replayable
    assert part.nodes == together


def test_a_shape_that_depends_on_values_is_found_in_the_run(nodes):
    part = Forward([nodes["some"]])
    assert part.shapes_itself
    assert not part.is_replayable
    nodes["some"].bottom[1].data[...] = [0, 1]
    part.run()
    (some,) = nodes["some"].top
    np.testing.assert_array_equal(some.data, nodes["some"].bottom[0].data[1:])
    assert not Forward([nodes["conv"]]).shapes_itself


def gradient_of_x(nodes, *parts):
    nodes["pool"].top[0].diff[...] = np.arange(1, 5).reshape(2, 2, 1, 1)
    for part in parts:
        assert part.run() == 0
    return nodes["slope"].bottom[0].diff.copy()


def test_a_layers_backward_takes_that_of_a_leaky_relu_along(nodes):
    together = Backward(nodes["pool"], nodes["slope"])
    assert together.nodes == [nodes["slope"], nodes["pool"]]
    right = gradient_of_x(nodes, Backward(nodes["pool"]), Backward(nodes["slope"]))
    np.testing.assert_array_equal(right.ravel(), [0.5, 2, 3, 2])
    np.testing.assert_array_equal(gradient_of_x(nodes, together), right)


def test_before_a_replay_cleared_gradients_get_their_zeros(nodes):
    part = Backward(nodes["scale"])
    blob, (scale,) = nodes["scale"].top[0], nodes["scale"].layer.blobs
    blob.diff[...] = 7
    blob.clear_diff()
    scale.clear_diff()
    for call in part.before:
        call()
    assert not blob.diff_is_clear
    assert not scale.diff_is_clear
    assert (blob.diff == 0).all()
