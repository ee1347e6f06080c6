"""Random values for inputs and weights: which inputs get numbers, which get labels."""

import numpy as np
import pytest

from pycaffe_lite import random
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.random_point import fill_inputs, fill_zero_blobs
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

INPUT = """
    layer { name: 'in' type: 'Input' top: 'x' top: 'y'
            input_param { shape { dim: [20, 2] } shape { dim: %s } } }
"""


def build(layers, shape="20"):
    random.set_random_seed(1)
    net = Net.from_document(parse(INPUT % shape + layers, caffe_pb2.NetParameter))
    fill_inputs(net)
    return net


def is_label(blob):
    return set(np.unique(blob.data)) == {0, 1}


@pytest.mark.parametrize(
    ("layers", "shape", "label"),
    [
        ("layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'x' bottom: 'y' }", "20", True),
        ("layer { name: 'l' type: 'EuclideanLoss' bottom: 'x' bottom: 'y' }", "[20, 2]", False),
        (
            "layer { name: 'l' type: 'EuclideanLoss' bottom: 'x' bottom: 'y'"
            " propagate_down: true propagate_down: false }",
            "[20, 2]",
            True,
        ),
        (
            "layer { name: 's' type: 'Slice' bottom: 'y' top: 'a' top: 'b' }"
            "layer { name: 'l' type: 'SigmoidCrossEntropyLoss' bottom: 'x' bottom: 'a' }"
            "layer { name: 't' type: 'Silence' bottom: 'b' }",
            "[20, 4]",
            True,
        ),
        (
            "layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'x' bottom: 'y' }"
            "layer { name: 'f' type: 'Power' bottom: 'y' top: 'z' }",
            "20",
            False,
        ),
        (
            "layer { name: 's' type: 'Silence' bottom: 'x' }"
            "layer { name: 'e' type: 'Embed' bottom: 'y' top: 'e'"
            "        embed_param { input_dim: 2 num_output: 3 } }",
            "20",
            True,
        ),
    ],
)
def test_inputs(layers, shape, label):
    net = build(layers, shape)
    assert is_label(net.blobs["y"]) == label
    assert net.blobs["y"].data.any()


def test_only_zero_blobs_are_filled():
    text = """
        layer { name: 'ip' type: 'InnerProduct' bottom: 'x' top: 'h'
                inner_product_param { num_output: 3 weight_filler { type: 'constant' value: 2 } } }
        layer { name: 'bn' type: 'BatchNorm' bottom: 'h' top: 'h' }
        layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'h' bottom: 'y' }
    """
    net = build(text)
    fill_zero_blobs(net)
    weight, bias = net.params["ip"]
    assert (weight.data == 2).all()
    assert (bias.data != 0).all()
    mean, variance, factor = net.params["bn"]
    assert (mean.data != 0).all()
    assert (variance.data == 1).all()
    assert factor.data == 1
