"""Split layers taken out of a net again."""

from pycaffe_lite import TRAIN, Net
from pycaffe_lite.net.splits import remove_splits
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

NET = """
layer { name: "data" type: "Input" top: "x" top: "t" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 } }
layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
layer { name: "a" type: "Power" bottom: "y" top: "a" }
layer { name: "b" type: "TanH" bottom: "y" top: "b" }
layer { name: "loss" type: "EuclideanLoss" bottom: "b" bottom: "t" top: "loss" loss_weight: 2 }
layer { name: "c" type: "Power" bottom: "loss" top: "c" }
layer { name: "silence" type: "Silence" bottom: "a" bottom: "c" }
"""


def test_a_built_net_without_its_splits_is_what_it_was():
    built = Net.from_text(NET, TRAIN).to_proto()
    assert [layer.name for layer in built.layer if layer.type == "Split"] == [
        "y_relu_0_split",
        "loss_loss_0_split",
    ]
    remove_splits(built)
    for layer in built.layer:
        layer.ClearField("phase")
    assert list(built.layer) == list(parse(NET, caffe_pb2.NetParameter).message.layer)


def test_a_split_of_the_users_own_stays():
    text = NET + 'layer { name: "own" type: "Split" bottom: "a" top: "d" top: "e" }'
    net = parse(text, caffe_pb2.NetParameter).message
    remove_splits(net)
    assert net.layer[-1].name == "own"
