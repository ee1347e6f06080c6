"""Nets to be used, from nets that train."""

import numpy as np
import pytest
from paths import ROOT

import pycaffe_lite as caffe
from pycaffe_lite.errors import NetError
from pycaffe_lite.export.deploy import deploy
from pycaffe_lite.proto import caffe_pb2

DATA = """
layer { name: "data" type: "ImageData" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mean_value: 104 mean_value: 117 scale: 0.5 crop_size: 8 }
  image_data_param { source: "none.txt" batch_size: 16 } }
"""
IP = """
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" param { lr_mult: 2 }
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
"""
ACCURACY = 'layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc" }'


def deployed(tmp_path, text, **options):
    file = tmp_path / "train.prototxt"
    file.write_text(text)
    return deploy(file, **options)


def loss(type, more=""):
    return f'layer {{ name: "loss" type: "{type}" bottom: "ip" bottom: "label" top: "loss" {more} }}'


@pytest.mark.parametrize(
    ("type", "end"),
    [
        ("SoftmaxWithLoss", "Softmax"),
        ("SigmoidCrossEntropyLoss", "Sigmoid"),
        ("FocalLoss", "Softmax"),
        ("HingeLoss", None),
    ],
)
def test_losses_become_what_they_are_for(tmp_path, type, end):
    is_by_value = type == "SigmoidCrossEntropyLoss"
    shapes = {"data": (16, 3, 8, 8), "label": (16, 3)} if is_by_value else {}
    accuracy = "" if is_by_value else ACCURACY
    result = deployed(tmp_path, DATA + IP + accuracy + loss(type), shapes=shapes)
    layers = [(layer.name, layer.type) for layer in result.message.layer]
    assert layers == [("data", "Input"), ("ip", "InnerProduct")] + ([("prob", end)] if end else [])
    net = caffe.Net.from_proto(result.message, caffe.TEST)
    assert net.outputs == (["prob"] if end else ["ip"])
    assert net.blobs["data"].shape == (1, 3, 8, 8)
    assert (
        "Input 'data' takes values less 104, 117, times 0.5, as the data layer gave them." in result.remarks
    )


def test_what_only_training_reads_goes(tmp_path):
    ip = deployed(tmp_path, DATA + IP + loss("SoftmaxWithLoss")).message.layer[1]
    assert not ip.param
    assert not ip.inner_product_param.HasField("weight_filler")


def test_the_axis_of_classes_and_the_batch(tmp_path):
    text = DATA + IP + loss("SoftmaxWithLoss", "softmax_param { axis: -1 }")
    message = deployed(tmp_path, text, batch=4).message
    assert message.layer[-1].softmax_param.axis == -1
    assert message.layer[0].input_param.shape[0].dim[0] == 4


def test_layers_of_labels_go(tmp_path):
    text = DATA + 'layer { name: "cut" type: "Slice" bottom: "label" top: "label1" top: "label2" }' + IP
    text += 'layer { name: "off" type: "Silence" bottom: "label2" }'
    text += loss("SoftmaxWithLoss").replace('"label"', '"label1"')
    shapes = {"data": (16, 3, 8, 8), "label": (16, 2)}
    layers = deployed(tmp_path, text, shapes=shapes).message.layer
    assert [layer.name for layer in layers] == ["data", "ip", "prob"]


def test_several_losses_have_names_of_their_own(tmp_path):
    text = DATA + IP + loss("SoftmaxWithLoss") + loss("SoftmaxWithLoss").replace('"loss"', '"aux"')
    assert [layer.name for layer in deployed(tmp_path, text).message.layer[2:]] == ["loss/prob", "aux/prob"]


def test_multibox_loss_becomes_detection_output(tmp_path):
    text = DATA + (
        'layer { name: "loc" type: "Convolution" bottom: "data" top: "loc" '
        "convolution_param { num_output: 4 kernel_size: 1 } }"
        'layer { name: "conf" type: "Convolution" bottom: "data" top: "conf" '
        "convolution_param { num_output: 3 kernel_size: 1 } }"
        'layer { name: "flat_loc" type: "Flatten" bottom: "loc" top: "flat_loc" }'
        'layer { name: "flat_conf" type: "Flatten" bottom: "conf" top: "flat_conf" }'
        'layer { name: "prior" type: "PriorBox" bottom: "data" bottom: "data" top: "prior" '
        "prior_box_param { min_size: 2 } }"
        'layer { name: "loss" type: "MultiBoxLoss" bottom: "flat_loc" bottom: "flat_conf" bottom: "prior" '
        'bottom: "label" top: "loss" multibox_loss_param { num_classes: 3 } }'
    )
    shapes = {"data": (1, 3, 8, 8), "label": (1, 1, 1, 8)}
    message = deployed(tmp_path, text, shapes=shapes).message
    assert message.layer[-1].type == "DetectionOutput"
    net = caffe.Net.from_proto(message, caffe.TEST)
    assert net.forward()["detection_out"].shape[-1] == 7


def test_lenet_gives_what_its_own_deploy_net_gives():
    result = deploy(f"{ROOT}/models/lenet/lenet_train_test.prototxt", shapes={"data": (1, 1, 28, 28)})
    caffe.set_random_seed(1)
    own = caffe.Net(f"{ROOT}/models/lenet/lenet.prototxt", caffe.TEST)
    net = caffe.Net.from_proto(result.message, caffe.TEST)
    net.share_with(own)
    digit = np.random.default_rng(0).random((1, 1, 28, 28))
    own.blobs["data"].reshape(1, 1, 28, 28)
    np.testing.assert_array_equal(net.forward(data=digit)["prob"], own.forward(data=digit)["prob"])


def test_nothing_left(tmp_path):
    with pytest.raises(NetError, match="nothing would be left"):
        deployed(tmp_path, DATA)


def test_layers_that_need_labels(tmp_path):
    margin = 'type: "MarginInnerProduct" bottom: "data" bottom: "label"'
    text = DATA + IP.replace('type: "InnerProduct" bottom: "data"', margin)
    text = text.replace("inner_product_param", "margin_inner_product_param")
    with pytest.raises(NetError, match=r"layer 'ip' \(MarginInnerProduct\): needs labels"):
        deployed(tmp_path, text + loss("SoftmaxWithLoss"))


def test_the_file_is_not_changed(tmp_path):
    message = caffe_pb2.NetParameter()
    message.CopyFrom(deployed(tmp_path, DATA + IP + loss("SoftmaxWithLoss")).message)
    assert (tmp_path / "train.prototxt").read_text() == DATA + IP + loss("SoftmaxWithLoss")
