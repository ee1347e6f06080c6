"""Every blob of one pass."""

import numpy as np
import pytest

import pycaffe_lite as caffe
from pycaffe_lite.errors import DataError
from pycaffe_lite.export.dump import all_blobs, write_blobs

TEXT = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "a" type: "Power" bottom: "conv" top: "a" power_param { shift: 1 } }
layer { name: "b" type: "Eltwise" bottom: "conv" bottom: "a" top: "b" }
"""


def test_each_layers_result_has_a_name(tmp_path):
    net = caffe.Net.from_text(TEXT, caffe.TEST)
    values = np.random.default_rng(0).standard_normal((1, 2, 4, 4)).astype(np.float32)
    blobs = all_blobs(net, {"data": values})
    assert list(blobs) == ["data", "conv/conv", "conv", "a", "b"]
    net.forward(data=values)
    assert (blobs["conv/conv"] < 0).any()
    np.testing.assert_array_equal(blobs["conv"], np.maximum(blobs["conv/conv"], 0))
    np.testing.assert_allclose(blobs["b"], net.blobs["b"].data, rtol=1e-6)
    write_blobs(tmp_path / "all.npz", blobs)
    with np.load(tmp_path / "all.npz") as file:
        np.testing.assert_array_equal(file["conv/conv"], blobs["conv/conv"])


def test_an_item_is_enough():
    net = caffe.Net.from_text(TEXT.replace("dim: 1", "dim: 3"), caffe.TEST)
    assert all_blobs(net, {"data": np.ones((2, 4, 4))})["b"].shape == (3, 3, 2, 2)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "the inputs are data; given are none"),
        ({"image": np.ones(1)}, "the inputs are data; given are image"),
        ({"data": np.ones((1, 2, 4, 5))}, r"input 'data' has shape \(1, 2, 4, 4\), given is one of shape"),
    ],
)
def test_inputs_that_are_not_the_nets(inputs, message):
    with pytest.raises(DataError, match=message):
        all_blobs(caffe.Net.from_text(TEXT, caffe.TEST), inputs)
