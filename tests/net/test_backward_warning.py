"""A backward pass that computes no gradient, or none of those that are asked for, says so once."""

import numpy as np
import pytest

from pycaffe_lite.net.net import Net
from pycaffe_lite.proto.caffe_pb2 import TEST

NET = """
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 4 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "f"
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "p" type: "Softmax" bottom: "f" top: "p" }
"""
LOSS = 'layer { name: "s" type: "Reduction" bottom: "p" top: "s" loss_weight: 1 }\n'
CURE = "; write 'force_backward: true' into the prototxt to get the gradients of all blobs"
NOTHING = "no layer takes part in this backward pass, so no gradient is computed"
DIFF = np.ones((1, 3))


@pytest.fixture
def said(tmp_path, caplog):
    """What calls of a net, read from a file, say."""

    def say(text, *calls):
        file = tmp_path / "n.prototxt"
        file.write_text(text)
        net = Net(file, TEST)
        net.forward()
        caplog.clear()
        for call in calls:
            call(net)
        return [m.removeprefix(f"{file}: ").removesuffix(CURE) for m in caplog.messages]

    return say


def test_no_layer_takes_part(said):
    def call(net):
        assert not net.backward(p=DIFF)["x"].any()

    assert said(NET, call, call) == [NOTHING]
    assert said(NET, lambda net: net.backward()) == [NOTHING]
    assert said(NET, lambda net: net.backward(diffs=["f"])) == [NOTHING]


def test_the_cure(said):
    def call(net):
        assert net.backward(p=np.eye(3)[:1])["x"].any()

    assert said(NET + "force_backward: true", call) == []


def test_the_gradient_asked_for_is_not_computed(said):
    says = "this backward pass computes no gradient of 'x'"
    assert said(NET + LOSS, lambda net: net.backward(s=1)) == [says]
    assert said(NET + LOSS, lambda net: net.backward(diffs=["x"])) == [says]
    assert said(NET + LOSS, lambda net: net.backward(diffs=["f"])) == []


def test_training_by_hand_says_nothing(said):
    steps = [lambda net: net.backward(), lambda net: net.forward_backward()] * 2
    assert said(NET + LOSS, *steps) == []


def test_a_part_of_a_net(said):
    assert said(NET + LOSS, lambda net: net.backward(start="in", end="in")) == [NOTHING]
    assert said(NET + LOSS, lambda net: net.backward(start="p", end="fc")) == []
    assert said(NET, lambda net: net.backward(start="fc", end="p")) == []  # nothing runs
