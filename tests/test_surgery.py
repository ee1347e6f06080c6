import numpy as np
import pytest

import pycaffe_lite as caffe
from pycaffe_lite.errors import NetError
from pycaffe_lite.surgery import fully_convolutional

CLASSIFIER = """
name: "c"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 9 dim: 7 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 3 kernel_size: 2 pad: PAD } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
FLATTEN
layer { name: "fc1" type: "InnerProduct" bottom: "BOTTOM" top: "fc1"
        inner_product_param { num_output: 4 transpose: TRANSPOSE } }
layer { name: "relu1" type: "ReLU" bottom: "fc1" top: "fc1" }
layer { name: "fc2" type: "InnerProduct" bottom: "fc1" top: "fc2" inner_product_param { num_output: 5 } }
layer { name: "fc3" type: "InnerProduct" bottom: "fc1" top: "fc3"
        inner_product_param { num_output: 5 bias_term: false } }
layer { name: "sum" type: "Eltwise" bottom: "fc2" bottom: "fc3" top: "sum" }
layer { name: "prob" type: "Softmax" bottom: "sum" top: "prob" }
"""
FLATTEN = 'layer { name: "flat" type: "Flatten" bottom: "pool" top: "flat" }'


def net_of(text, seed=0):
    net = caffe.Net.from_text(text, caffe.TEST)
    random = np.random.RandomState(seed)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = random.normal(0, 0.5, blob.shape)
    return net


def classifier(pad=0, transpose=False, flatten=False):
    text = CLASSIFIER.replace("PAD", str(pad)).replace("TRANSPOSE", str(transpose).lower())
    return net_of(text.replace("FLATTEN", FLATTEN * flatten).replace("BOTTOM", "flat" if flatten else "pool"))


def image(height, width):
    return np.random.RandomState(1).normal(0, 1, (1, 2, height, width)).astype(np.float32)


@pytest.mark.parametrize(("transpose", "flatten"), [(False, False), (True, True)])
def test_a_map_is_the_classifier_slid_over_the_image(transpose, flatten):
    net = classifier(transpose=transpose, flatten=flatten)
    sliding = fully_convolutional(net)
    x = image(9 + 4, 7 + 6)
    sliding.blobs["data"].reshape(*x.shape)
    maps = sliding.forward(data=x)["prob"]
    assert maps.shape == (1, 5, 3, 4)
    for i in range(3):
        for j in range(4):
            alone = net.forward(data=x[:, :, 2 * i : 2 * i + 9, 2 * j : 2 * j + 7])["prob"]
            np.testing.assert_allclose(maps[0, :, i, j], alone[0], atol=1e-6)


def test_with_padding_it_is_the_classifier_at_its_own_size_only():
    net = classifier(pad=1)
    sliding = fully_convolutional(net)
    x = image(9, 7)
    here = net.forward(data=x)["prob"].copy()
    np.testing.assert_allclose(sliding.forward(data=x)["prob"][:, :, 0, 0], here, atol=1e-6)
    larger = image(11, 9)
    larger[:, :, 2:, 2:] = x
    sliding.blobs["data"].reshape(*larger.shape)
    # The classifier sees zeros beside the part, this net sees the image there.
    assert np.abs(sliding.forward(data=larger)["prob"][0, :, 1, 1] - here[0]).max() > 1e-3


def test_the_classifier_stays_as_it_is():
    net = classifier()
    weights = net.params["fc1"][0].data.copy()
    sliding = fully_convolutional(net)
    sliding.params["fc1-conv"][0].data[...] = 0
    assert np.array_equal(net.params["fc1"][0].data, weights)
    assert list(sliding.params) == ["conv", "fc1-conv", "fc2-conv", "fc3-conv"]
    assert sliding.layer_dict["fc1-conv"].type == "Convolution"
    assert sliding.params["fc1-conv"][0].shape == (4, 3, 4, 3)
    assert sliding.outputs == net.outputs


def test_global_pooling_becomes_local():
    text = """
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 4 dim: 3 } } }
    layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
            pooling_param { pool: AVE global_pooling: true } }
    layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 2 } }
    """
    net = net_of(text)
    sliding = fully_convolutional(net)
    x = image(6, 3)
    sliding.blobs["data"].reshape(*x.shape)
    maps = sliding.forward(data=x)["fc"]
    assert maps.shape == (1, 2, 3, 1)
    for i in range(3):
        np.testing.assert_allclose(maps[0, :, i, 0], net.forward(data=x[:, :, i : i + 4])["fc"][0], atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            'name: "r" type: "Reshape" bottom: "prob" top: "r" reshape_param { shape { dim: 1 dim: -1 } }',
            r"layer 'r' \(Reshape\) cannot follow a convolution as it followed a fully connected layer",
        ),
        (
            'name: "s" type: "Scale" bottom: "prob" top: "s" scale_param { axis: -1 }',
            r"layer 's' \(Scale\) works along axis -1, where maps have no channels",
        ),
        (
            'name: "s" type: "Softmax" bottom: "prob" top: "s" softmax_param { axis: -1 }',
            r"layer 's' \(Softmax\) works along axis -1, where maps have no channels",
        ),
        (
            'name: "i" type: "InnerProduct" bottom: "data" top: "i" '
            "inner_product_param { num_output: 1 axis: 2 }",
            r"layer 'i' \(InnerProduct\) works from axis 2 on, only axis 1 can become a convolution",
        ),
    ],
)
def test_what_cannot_be_converted_is_refused(layer, message):
    text = CLASSIFIER.replace("PAD", "0").replace("TRANSPOSE", "false").replace("FLATTEN", "")
    with pytest.raises(NetError, match=f"^{message}$"):
        fully_convolutional(net_of(f"{text.replace('BOTTOM', 'pool')} layer {{ {layer} }}"))
