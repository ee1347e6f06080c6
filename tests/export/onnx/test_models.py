"""The nets of models/, with random weights, as ONNX Runtime runs them; folded and as they are."""

import numpy as np
import pytest
from paths import ROOT
from tolerances import assert_golden

import pycaffe_lite as caffe
from pycaffe_lite.export import fold
from pycaffe_lite.export.inputs import random_inputs
from pycaffe_lite.export.onnx.check import runner_for
from pycaffe_lite.export.onnx.model import Export
from pycaffe_lite.view.shaped import shaped_net

MODELS = [
    *("caffenet/caffenet", "cifar10_quick/cifar10_quick", "googlenet/googlenet", "lenet/lenet"),
    *("mobilenet/mobilenet_v1", "resnet50/resnet50", "squeezenet/squeezenet_v1.1"),
]
# Blobs before the detections: with random weights their order is for the last digit to decide.
SSD_OUTPUTS = ["mbox_loc", "conf_flat", "mbox_priors"]


def net_of(model):
    """A model with random weights, drawn faster than by fillers."""
    net = shaped_net(f"{ROOT}/models/{model}.prototxt", caffe.TEST).net
    generator = np.random.default_rng(0)
    for layer in net.layers:
        for blob in layer.blobs:
            values_per_output = max(blob.count // max(blob.shape[0], 1), 2) if blob.shape else 2
            blob.data[...] = (
                generator.standard_normal(blob.shape, np.float32) * (2 / values_per_output) ** 0.5
            )
        if layer.type == "BatchNorm":
            for blob, (low, high) in zip(layer.blobs, ((-0.1, 0.1), (0.5, 2), (1, 1)), strict=True):
                blob.data[...] = generator.uniform(low, high, blob.shape)
        elif layer.type == "Scale":
            layer.blobs[0].data[...] = generator.uniform(0.5, 1.5, layer.blobs[0].shape)
    return net


def check(export, file):
    _, inputs = next(random_inputs(export.net))
    export.write(file)
    got, expected = runner_for(export, file).run(inputs), export.run(inputs)
    for name, values in expected.items():
        assert np.ptp(values) > 0
        assert_golden(got[name], values, name)
    return expected


@pytest.mark.parametrize("model", MODELS)
def test_gives_the_nets_numbers(model, tmp_path):
    net = net_of(model)
    # What is before the softmax, whose probabilities of random weights are 0 and 1.
    outputs = [net.bottom_names[net.layer_names[-1]][0]]
    check(Export(net, outputs=outputs, batch=1), tmp_path / "net.onnx")


@pytest.mark.parametrize("model", ["mobilenet/mobilenet_v1", "squeezenet/squeezenet_v1.1"])
def test_folded(model, tmp_path):
    net = net_of(model)
    outputs = [net.bottom_names[net.layer_names[-1]][0]]
    folded = fold(net)
    assert not {layer.type for layer in folded.layers} & {"BatchNorm", "Scale", "Dropout"}
    as_it_is, without = (
        check(Export(each, outputs=outputs, batch=1), tmp_path / "net.onnx") for each in (net, folded)
    )
    for name, values in as_it_is.items():
        np.testing.assert_allclose(without[name], values, rtol=0, atol=1e-4 * np.abs(values).max())


def test_a_detector(tmp_path):
    check(Export(net_of("ssd_shapes/ssd_shapes"), outputs=SSD_OUTPUTS), tmp_path / "net.onnx")
