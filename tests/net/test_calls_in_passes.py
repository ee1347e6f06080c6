"""Calls on the way through a net, as gradients become complete."""

import numpy as np

from pycaffe_lite import random
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

NET = """
    layer { name: "data" type: "DummyData" top: "a" top: "b" top: "label"
            dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 3 } shape { dim: 4 }
                               data_filler { type: "uniform" } data_filler { type: "uniform" }
                               data_filler { type: "constant" value: 1 } } }
    layer { name: "left" type: "InnerProduct" bottom: "a" top: "l" param { name: "w" }
            inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
    layer { name: "right" type: "InnerProduct" bottom: "b" top: "r" param { name: "w" }
            inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
    layer { name: "sum" type: "Eltwise" bottom: "l" bottom: "r" top: "s" }
    layer { name: "top" type: "InnerProduct" bottom: "s" top: "t" param { lr_mult: 1 } param { lr_mult: 0 }
            inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "t" bottom: "label" top: "loss" }
"""


def made():
    random.set_random_seed(1)
    return Net.from_text(NET, caffe_pb2.TRAIN)


def test_when_gradients_are_complete():
    """A shared weight's is where the last layer has added to it; one that is not learned has none."""
    net = made()
    names = ["w", "left's bias", "right's bias", "top's w", "top's bias"]
    order = [[names[k] for k in part] for part in net.gradients_by_part()]
    assert [part for part in order if part] == [["top's w"], ["right's bias"], ["w", "left's bias"]]


def test_calls_see_complete_gradients():
    """Pass after pass, recorded and not; losses and gradients are those of a plain pass."""
    plain, called = made(), made()
    seen = []
    by_part = called.gradients_by_part()
    calls = {
        number + 1: lambda part=part: seen.append([called.learnable_params[k].diff.copy() for k in part])
        for number, part in enumerate(by_part)
        if part
    }
    run = called.forward_backward_calling(calls)
    for _ in range(4):
        seen.clear()
        for net in (plain, called):
            random.set_random_seed(5)
            net.clear_param_diffs()
        random.set_random_seed(6)
        loss = plain.forward_backward()
        random.set_random_seed(6)
        assert run() == loss
        wanted = [[plain.learnable_params[k].diff for k in part] for part in by_part if part]
        for ours, theirs in zip(seen, wanted, strict=True):
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)
