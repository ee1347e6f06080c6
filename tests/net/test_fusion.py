"""Fused runs give the same blobs, and are off for whoever looks between layers."""

import itertools

import numpy as np
import pytest

from pycaffe_lite import random
from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.layer import registry
from pycaffe_lite.layer.activation.bias import BiasLayer
from pycaffe_lite.layer.activation.relu import ReLULayer
from pycaffe_lite.layer.common.inner_product import InnerProductLayer
from pycaffe_lite.layer.fusing import HoldsBottoms, IsEpilogue, IsLeakyReLU, TakesEpilogue, TakesSlopeBack
from pycaffe_lite.layer.replay import by_kernels
from pycaffe_lite.net.fusion import backward_parts, forward_parts
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

OFFERS = HoldsBottoms, IsEpilogue, IsLeakyReLU, TakesEpilogue, TakesSlopeBack
HEAD = """
    layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 dim: 7 dim: 9 } } }
    layer { name: 'conv' type: 'Convolution' bottom: 'x' top: 'y' convolution_param {
        num_output: 4 kernel_size: 3 weight_filler { type: 'gaussian' std: 0.3 } %s } }
"""
BIAS = "bias_filler { type: 'uniform' min: -1 max: 1 }"
NO_BIAS = "bias_term: false"
RELU = "layer { name: 'relu' type: 'ReLU' bottom: 'y' top: 'y' relu_param { negative_slope: 0.1 } }"
NORM = "layer { name: 'bn' type: 'BatchNorm' bottom: 'y' top: 'y' }"
SCALE = """layer { name: 'scale' type: 'Scale' bottom: 'y' top: 'y'
    scale_param { bias_term: true filler { type: 'uniform' min: 0.5 max: 2 }
                  bias_filler { type: 'uniform' } } }"""
PLUS = "layer { name: 'plus' type: 'Bias' bottom: 'y' top: 'y' bias_param { filler { type: 'uniform' } } }"
DROP = "layer { name: 'drop' type: 'Dropout' bottom: 'y' top: 'y' }"
ZPLUS = "layer { name: 'plus' type: 'Bias' bottom: 'z' top: 'z' bias_param { filler { value: 3 } } }"
INNER = """layer { name: 'ip' type: 'InnerProduct' bottom: 'x' top: 'y' inner_product_param {
    num_output: 5 weight_filler { type: 'xavier' } bias_filler { type: 'uniform' } } }"""


def build(text: str, phase: str = "TEST") -> Net:
    random.set_random_seed(3)
    net = Net.from_document(parse(f"state {{ phase: {phase} }} {text}", caffe_pb2.NetParameter))
    random_state = np.random.RandomState(1)
    net.blobs["x"].data[...] = random_state.randn(*net.blobs["x"].shape)
    if "bn" in net.params:
        mean, variance, factor = net.params["bn"]
        mean.data[...] = random_state.randn(4)
        variance.data[...] = random_state.rand(4) + 0.5
        factor.data[...] = 2
    return net


def is_fused(net: Net) -> bool:
    return len(forward_parts(net.graph.nodes)) < len(net.layers)


def run_watched(net: Net) -> None:
    net.before_forward(lambda i: None)
    net.forward()
    net._before_forward.clear()


@pytest.mark.parametrize("bias", [BIAS, NO_BIAS])
@pytest.mark.parametrize(
    "followers",
    [[RELU], [NORM], [NORM, SCALE], [NORM, SCALE, RELU], [SCALE, PLUS], [PLUS, RELU], [DROP], [RELU, DROP]],
    ids=lambda layers: "+".join(layer.split("'")[1] for layer in layers),
)
def test_same_values_as_layer_by_layer(followers, bias):
    net = build(HEAD % bias + " ".join(followers))
    assert is_fused(net), "nothing was fused"
    run_watched(net)
    expected = net.blobs["y"].data.copy()
    net.blobs["y"].data.fill(np.nan)
    net.forward()
    np.testing.assert_allclose(net.blobs["y"].data, expected, rtol=2e-6, atol=2e-6)


def test_ends_in_a_row_do_one_after_the_other():
    a, b = (np.array(values, np.float32) for values in ([2, 3], [5, 7]))
    x = np.array([-1.0, 4.0], np.float32)
    some = Epilogue(), Epilogue(a), Epilogue(shift=b), Epilogue(a, b)
    for first, then in itertools.product(some, repeat=2):
        whole = then._replace(slope=0.5).behind(first.scale, first.shift).behind(None, b)
        expected = x + b
        for epilogue in (first, then):
            expected = expected * (1 if epilogue.scale is None else epilogue.scale)
            expected = expected + (0 if epilogue.shift is None else epilogue.shift)
        got = x * (1 if whole.scale is None else whole.scale) + (0 if whole.shift is None else whole.shift)
        assert np.array_equal(got, expected)
        assert whole.slope == 0.5


def test_inner_product():
    net = build(HEAD % BIAS + INNER.replace("'y'", "'z'") + RELU.replace("'y'", "'z'"))
    run_watched(net)
    expected = net.blobs["z"].data.copy()
    net.forward()
    np.testing.assert_allclose(net.blobs["z"].data, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("bottoms", [2, 3])
def test_a_sum_takes_a_slope_and_nothing_else(bottoms):
    names = " ".join(f"bottom: '{name}'" for name in ("x", "z", "x")[:bottoms])
    ends = RELU.replace("'y'", "'s'"), SCALE.replace("'y'", "'s'")
    half = "layer { name: 'half' type: 'Power' bottom: 'x' top: 'z' power_param { scale: -0.5 power: 2 } }"
    total = "layer { name: 'sum' type: 'Eltwise' %s top: 's' eltwise_param { operation: %s } }"
    net = build(HEAD % BIAS + half + total % (names, "SUM") + ends[0])
    run_watched(net)
    expected = net.blobs["s"].data.copy()
    assert (expected < 0).any()
    net.blobs["s"].data.fill(np.nan)
    assert is_fused(net)
    net.forward()
    np.testing.assert_array_equal(net.blobs["s"].data, expected)
    assert not is_fused(build(HEAD % BIAS + half + total % (names, "SUM") + ends[1]))
    assert not is_fused(build(HEAD % BIAS + half + total % (names, "MAX") + ends[0]))


def test_weights_may_change_between_calls():
    net = build(HEAD % BIAS + NORM + SCALE + RELU)
    net.forward()
    for name in ("conv", "bn", "scale"):
        net.params[name][0].data[...] *= 1.5
    net.forward()
    fused = net.blobs["y"].data.copy()
    run_watched(net)
    np.testing.assert_allclose(fused, net.blobs["y"].data, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        (HEAD % BIAS + NORM, "TRAIN"),  # batch statistics
        (HEAD % BIAS + DROP, "TRAIN"),  # a mask
        (HEAD % BIAS + RELU.replace("top: 'y'", "top: 'z'"), "TEST"),  # not in place: y is seen
        (HEAD % BIAS + SCALE.replace("filler", "axis: 2 filler", 1), "TEST"),  # not per channel
    ],
)
def test_what_cannot_be_fused(text, phase):
    if "axis: 2" in text:
        text = text.replace("axis: 2", "axis: 2 num_axes: 1")
    assert not is_fused(build(text, phase))


def test_a_backward_pass_that_needs_the_input_prevents_it():
    """Scale's gradient needs what it multiplied; ReLU's can do with the result."""
    loss = """layer { name: 'l' type: 'InnerProduct' bottom: 'y' top: 'l' loss_weight: 1
        inner_product_param { num_output: 1 weight_filler { type: 'xavier' } } }"""
    assert not is_fused(build(HEAD % BIAS + SCALE + loss))
    assert is_fused(build(HEAD % BIAS + RELU + loss))


def test_gradients_are_those_of_the_unfused_net():
    loss = """layer { name: 'l' type: 'InnerProduct' bottom: 'y' top: 'l' loss_weight: 1
        inner_product_param { num_output: 1 weight_filler { type: 'xavier' } } }"""
    net = build(HEAD % BIAS + RELU + loss, "TRAIN")
    gradients = []
    for watched in (False, True):
        net.clear_param_diffs()
        run_watched(net) if watched else net.forward()
        net.backward()
        gradients.append([blob.diff.copy() for blob in net.learnable_params])
    for fused, plain in zip(*gradients, strict=True):
        np.testing.assert_allclose(fused, plain, rtol=1e-5, atol=1e-6)


POOLINGS = {
    "scattered maxima": "kernel_size: 3 stride: 1",
    "gathered maxima": "kernel_size: 2 stride: 2",
    "means": "pool: AVE kernel_size: 3 stride: 2",
    "chosen": "pool: STOCHASTIC kernel_size: 2 stride: 2",
}
LONG = """
    layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 dim: 9 dim: 70 } } }
    layer { name: 'conv' type: 'Convolution' bottom: 'x' top: 'y' convolution_param {
        num_output: 4 kernel_size: 3 weight_filler { type: 'gaussian' std: 0.3 } } }
"""
LOSS = """layer { name: 'l' type: 'InnerProduct' bottom: 'p' top: 'l' loss_weight: 1
    inner_product_param { num_output: 1 weight_filler { type: 'xavier' } } }"""


def pooled(param: str, bottom: str = "y") -> str:
    return f"layer {{ name: 'p' type: 'Pooling' bottom: '{bottom}' top: 'p' pooling_param {{ {param} }} }}"


def backward_layers(net: Net) -> int:
    """How many parts a backward pass has."""
    return len(backward_parts(net.graph.nodes))


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_takes_a_relu_in_place_along(name):
    net = build(LONG + RELU + pooled(POOLINGS[name]) + LOSS, "TRAIN")
    assert backward_layers(net) == (4 if name == "chosen" else 3)
    net.forward()
    gradients = []
    for watched in (False, True):
        net.clear_param_diffs()
        if watched:
            net.before_backward(lambda i: None)
        net.backward()
        gradients.append([blob.diff.tobytes() for blob in (*net.blobs.values(), *net.learnable_params)])
    assert gradients[0] == gradients[1]
    assert (net.blobs["y"].data < 0).any()


class Halved(ReLULayer):
    """A ReLU with another gradient."""

    def backward(self, top, propagate_down, bottom):
        super().backward(top, propagate_down, bottom)
        bottom[0].diff[...] /= 2


class HalvedByKernels(Halved):
    """As it would be if that were a kernel's work."""

    @by_kernels
    def backward(self, top, propagate_down, bottom):
        super().backward(top, propagate_down, bottom)


@pytest.mark.parametrize(
    "text",
    [
        RELU.replace("top: 'y'", "top: 'z'") + pooled("kernel_size: 2", "z"),
        RELU + "layer { name: 'other' type: 'Power' bottom: 'y' top: 'other' }" + pooled("kernel_size: 2"),
        RELU + DROP + pooled("kernel_size: 2"),
        RELU.replace("'ReLU'", "'Halved'") + pooled("kernel_size: 2"),
        RELU.replace("'ReLU'", "'HalvedByKernels'") + pooled("kernel_size: 2"),
    ],
    ids=["not in place", "another reader", "a layer between", "another gradient", "another one by kernels"],
)
def test_what_pooling_cannot_take_along(monkeypatch, text):
    for kind in (Halved, HalvedByKernels):
        relu = registry._types["ReLU"]
        monkeypatch.setitem(registry._types, kind.__name__, relu._replace(layer_class=kind))
    net = build(LONG + text + LOSS, "TRAIN")
    assert backward_layers(net) == sum(node.need_backward for node in net.graph.nodes)


class Doubled(InnerProductLayer):
    """Overrides forward, and has nothing to say of epilogues."""

    def forward(self, bottom, top):
        super().forward(bottom, top)
        top[0].data[...] *= 2


class Shifted(BiasLayer):
    """Adds 1 more than a Bias."""

    def forward(self, bottom, top):
        super().forward(bottom, top)
        top[0].data[...] += 1


@pytest.mark.parametrize("kind", [Doubled, Shifted])
def test_a_type_that_overrides_forward_alone_is_not_fused(monkeypatch, kind):
    base = kind.__bases__[0]
    name, known = next((n, t) for n, t in registry.layer_types().items() if t.layer_class is base)
    monkeypatch.setitem(registry._types, name, known._replace(layer_class=kind))
    net, watched = (build(HEAD % BIAS + INNER.replace("'y'", "'z'") + ZPLUS) for _ in range(2))
    assert len(forward_parts(net.graph.nodes)) == len(net.layers)
    net.forward()
    run_watched(watched)
    for blob in net.blobs:
        assert np.array_equal(net.blobs[blob].data, watched.blobs[blob].data)


def test_what_a_type_may_offer_is_offered_by_those_that_say_so():
    """No type is fused that has not inherited one of these."""
    offers = {
        name: {offer.__name__ for offer in OFFERS if issubclass(entry.layer_class, offer)}
        for name, entry in registry.layer_types().items()
    }
    assert {name: found for name, found in offers.items() if found} == {
        "BatchNorm": {"IsEpilogue"},
        "Bias": {"IsEpilogue"},
        "Concat": {"HoldsBottoms"},
        "Convolution": {"TakesEpilogue"},
        "ConvolutionDepthwise": {"TakesEpilogue"},
        "DepthwiseConvolution": {"TakesEpilogue"},
        "Dropout": {"IsEpilogue"},
        "Eltwise": {"TakesEpilogue"},
        "InnerProduct": {"TakesEpilogue"},
        "Pooling": {"TakesSlopeBack"},
        "ReLU": {"IsEpilogue", "IsLeakyReLU"},
        "Scale": {"IsEpilogue"},
    }
