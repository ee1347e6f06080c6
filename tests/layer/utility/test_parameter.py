import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse


@pytest.mark.parametrize(("dims", "shape"), [("dim: 3 dim: 4", (3, 4)), ("", ())])
def test_top_is_the_blob(dims, shape):
    rig = build_layer(f'type: "Parameter" parameter_param {{ shape {{ {dims} }} }}', [])
    assert rig.forward()[0].tolist() == np.zeros(shape).tolist()
    assert np.shares_memory(rig.top[0].data, rig.layer.blobs[0].data)
    assert np.shares_memory(rig.top[0].diff, rig.layer.blobs[0].diff)


def test_values_of_the_prototxt_are_used():
    text = 'type: "Parameter" parameter_param { shape { dim: 2 } } blobs { shape { dim: 2 } data: [5, 6] }'
    assert build_layer(text, []).forward()[0].tolist() == [5, 6]


def test_reader_replaces_the_gradient_also_of_a_shared_blob():
    layer = """layer { name: "%(n)s" type: "Parameter" top: "%(n)s" param { name: "w" }
                       parameter_param { shape { dim: 2 } } }"""
    net = Net.from_document(
        parse(
            layer % {"n": "a"}
            + layer % {"n": "b"}
            + 'layer { name: "t" type: "Power" bottom: "b" top: "t" power_param { scale: 3 } loss_weight: 1 }'
            + 'layer { name: "s" type: "Silence" bottom: "a" }',
            caffe_pb2.NetParameter,
        )
    )
    net.params["a"][0].data[...] = [1, 2]
    for _ in range(2):
        net.forward_backward()
        assert net.blobs["t"].data.tolist() == [3, 6]
        assert net.params["b"][0].diff.tolist() == [3, 3]


def test_first_values_by_happynears_filler():
    shape = "shape { dim: 2 dim: 3 }"
    rig = build_layer(f'type: "Parameter" parameter_param {{ {shape} blob_filler {{ value: 1.5 }} }}', [])
    assert rig.forward()[0].tolist() == [[1.5] * 3] * 2
