"""Folding of layers that scale and shift channels."""

import numpy as np
import pytest

import pycaffe_lite as caffe
from pycaffe_lite.export import fold
from pycaffe_lite.export.folding import folded

INPUT = (
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 dim: 5 dim: 6 } } }'
)
CONVOLUTION = (
    'layer {{ name: "{0}" type: "{3}" bottom: "{1}" top: "{0}" convolution_param {{ num_output: 6 '
    'kernel_size: 3 {2} weight_filler {{ type: "xavier" }} }} }}'
)
BATCH_NORM = 'layer {{ name: "bn" type: "BatchNorm" bottom: "{0}" top: "{1}" }}'
SCALE = 'layer {{ name: "scale" type: "Scale" bottom: "{0}" top: "{1}" scale_param {{ bias_term: true }} }}'
PRODUCT = (
    'layer {{ name: "{0}" type: "InnerProduct" bottom: "{1}" top: "{0}" inner_product_param {{ num_output: 3 '
    '{2} weight_filler {{ type: "xavier" }} }} }}'
)


def convolution(name, bottom, more="", type="Convolution"):
    return CONVOLUTION.format(name, bottom, more, type)


def net_of(*layers):
    """A net in TEST whose weights are random, and statistics those of a factor of 2."""
    net = caffe.Net.from_text(INPUT + "".join(layers), caffe.TEST)
    generator = np.random.default_rng(0)
    for layer in net.layers:
        for i, blob in enumerate(layer.blobs):
            blob.data[...] = generator.standard_normal(blob.shape)
            if layer.type == "BatchNorm" and i:
                blob.data[...] = 2 if i == 2 else generator.uniform(0.5, 2, blob.shape)
    net.blobs["data"].data[...] = generator.standard_normal(net.blobs["data"].shape)
    return net


def types(net):
    return [layer.type for layer in net.layers if layer.type != "Input"]


def check(net, expected_types):
    """Folds a net, and compares all blobs that are still there under their name."""
    before = {name: values.copy() for name, values in net.forward().items()}
    result = fold(net)
    result.blobs["data"].data[...] = net.blobs["data"].data
    after = result.forward()
    assert types(result) == expected_types
    assert set(before) == set(after)
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=0, atol=2e-5 * np.abs(values).max())


@pytest.mark.parametrize("more", ["", "group: 2", "bias_term: false", "stride: 2 pad: 1 dilation: 2"])
@pytest.mark.parametrize("type", ["Convolution", "Deconvolution"])
def test_into_what_is_before(type, more):
    net = net_of(convolution("c", "data", more, type), BATCH_NORM.format("c", "c"), SCALE.format("c", "out"))
    check(net, [type])


@pytest.mark.parametrize("more", ["", "transpose: true"])
def test_into_an_inner_product_before(more):
    check(net_of(PRODUCT.format("ip", "data", more), SCALE.format("ip", "ip")), ["InnerProduct"])


@pytest.mark.parametrize("more", ["", "group: 2", "bias_term: false"])
def test_into_what_is_behind(more):
    layers = BATCH_NORM.format("data", "norm"), SCALE.format("norm", "norm"), convolution("c", "norm", more)
    check(net_of(*layers), ["Convolution"])


@pytest.mark.parametrize("more", ["", "transpose: true"])
def test_into_an_inner_product_behind(more):
    check(net_of(SCALE.format("data", "s"), PRODUCT.format("ip", "s", more)), ["InnerProduct"])


def test_padding_keeps_what_shifts_before_a_convolution():
    net = net_of(BATCH_NORM.format("data", "norm"), convolution("c", "norm", "pad: 1"))
    check(net, ["BatchNorm", "Convolution"])


def test_a_factor_alone_goes_through_padding_and_deconvolution():
    scale = 'layer { name: "s" type: "Scale" bottom: "data" top: "s" }'
    check(net_of(scale, convolution("c", "s", "pad: 1")), ["Convolution"])
    check(net_of(scale, convolution("c", "s", "group: 2", "Deconvolution")), ["Deconvolution"])


def test_a_blob_that_others_read_stays():
    net = net_of(
        convolution("c", "data"),
        BATCH_NORM.format("c", "norm"),
        'layer { name: "sum" type: "Eltwise" bottom: "c" bottom: "norm" top: "sum" }',
    )
    assert types(net) == ["Convolution", "Split", "BatchNorm", "Eltwise"]
    check(net, types(net))


def test_shared_weights_stay():
    twin = 'param { name: "w" } param { name: "b" } convolution_param'
    first = convolution("c", "data").replace("convolution_param", twin)
    second = convolution("d", "data").replace("convolution_param", twin)
    check(net_of(first, second, SCALE.format("c", "c")), ["Split", "Convolution", "Convolution", "Scale"])


def test_layers_without_effect_go():
    net = net_of(
        convolution("c", "data"),
        'layer { name: "drop" type: "Dropout" bottom: "c" top: "d" }',
        'layer { name: "two" type: "Split" bottom: "d" top: "e" top: "f" }',
        'layer { name: "sum" type: "Eltwise" bottom: "e" bottom: "f" top: "sum" }',
        'layer { name: "end" type: "Dropout" bottom: "sum" top: "end" }',
    )
    check(net, ["Convolution", "Split", "Eltwise"])
    assert folded(net).remarks[0] == "drop (Dropout) does nothing in TEST: taken out"


def test_the_net_itself_stays():
    net = net_of(convolution("c", "data"), SCALE.format("c", "c"))
    weights = net.params["c"][0].data.copy()
    assert folded(net).remarks == ["scale (Scale) folded into c (Convolution)"]
    assert types(net) == ["Convolution", "Scale"]
    np.testing.assert_array_equal(net.params["c"][0].data, weights)
