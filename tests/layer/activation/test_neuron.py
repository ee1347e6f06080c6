"""What layers that work in place keep for backward, also where their passes are replayed."""

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.kernels import record
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

NET = """
force_backward: true
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } } }
layer { name: "twice" type: "Power" bottom: "x" top: "y" power_param { scale: 2 } }
layer { name: "unit" bottom: "y" top: "y" %s }
"""
UNITS = ['type: "PReLU"', 'type: "BNLL"', 'type: "Log" log_param { shift: 9 }', 'type: "LRN"']


def run(net, shape, seed):
    x = np.random.default_rng(seed).uniform(-1, 1, shape)
    net.blobs["x"].reshape(shape)
    net.blobs["x"].data[...] = x
    net.forward()


def gradient(net):
    net.blobs["y"].diff[...] = 1
    net.backward()
    return net.blobs["x"].diff.copy()


@pytest.mark.parametrize("unit", UNITS)
def test_backward_after_replays_for_another_shape(unit):
    shapes = (2, 3, 4, 5), (2, 3, 2, 2)
    net, fresh = (Net.from_document(parse(NET % unit, caffe_pb2.NetParameter)) for _ in range(2))
    for shape in (*shapes, shapes[0]):
        for seed in range(4):
            run(net, shape, seed)
    run(net, shapes[0], 9)
    run(fresh, shapes[0], 9)
    np.testing.assert_array_equal(gradient(net), gradient(fresh))


@pytest.mark.parametrize("unit", UNITS)
def test_in_place_forward_is_recorded_with_its_copy(unit):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 5))
    rig, plain = (build_layer(unit, [values], in_place=True) for values in (x, -x))
    with record() as steps:
        rig.layer.forward(rig.bottom, rig.top)
    assert steps.whole
    rig.bottom[0].data[...] = -x
    steps.run()
    plain.layer.forward(plain.bottom, plain.top)
    for one in (rig, plain):
        one.top[0].diff.fill(1)
        one.layer.backward(one.top, [True], one.bottom)
    np.testing.assert_array_equal(rig.bottom[0].diff, plain.bottom[0].diff)
