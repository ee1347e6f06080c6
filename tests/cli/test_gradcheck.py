"""`pycaffe-lite gradcheck`."""

from pathlib import Path

import pytest

import pycaffe_lite as caffe

NET = """
layer { name: "data" type: "Input" top: "x" top: "label"
        input_param { shape { dim: [2, 3, 4, 4] } shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
        convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "own" type: "Python" bottom: "conv" top: "own" python_param { module: "mine" layer: "Square" } }
layer { name: "ip" type: "InnerProduct" bottom: "own" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "right" type: "Accuracy" bottom: "ip" bottom: "label" top: "right" }
layer { name: "best" type: "ArgMax" bottom: "ip" top: "best" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
MODULE = """
import pycaffe_lite

class Square(pycaffe_lite.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data ** 2

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = {factor} * bottom[0].data * top[0].diff
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    monkeypatch.delitem(__import__("sys").modules, "mine", raising=False)

    def write(factor=2):
        Path("mine.py").write_text(MODULE.format(factor=factor))
        return "net.prototxt"

    return write


def checked(result):
    """The name of each line's layer and what is said of it."""
    return [(line.split("'")[1], line.split(": ")[1].split(",")[0]) for line in result.out[:-1]]


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_right_gradients(net, run, phase):
    result = run("gradcheck", net(), "--phase", phase, level=2)
    assert (result.code, result.err) == (0, [])
    layers = ["label_data_1_split", "conv", "bn", "own", "ip", "ip_ip_0_split", "loss"]
    assert checked(result) == [(layer, "ok") for layer in layers]
    assert result.out[-1] == "7 layers, all gradients are right"


def test_a_wrong_gradient_of_a_users_layer(net, run):
    result = run("gradcheck", net(factor=3), "-samples", 7, level=2)
    assert result.code == 1
    assert ("own", "WRONG") in checked(result)
    line = next(line for line in result.out if "'own'" in line)
    assert line.startswith("layer 'own' (Python), bottom 0: WRONG, 7 elements, worst error 0.")
    assert result.out[-1] == "7 layers, 1 gradients are wrong"


def test_chosen_layers_at_given_weights(net, run):
    made = caffe.Net(net(), caffe.TRAIN)
    made.params["ip"][0].data[...] = 1
    made.save("w.caffemodel")
    result = run("gradcheck", net(), "--layer", "ip", "--layer", "loss", "--weights", "w.caffemodel", level=2)
    assert result.code == 0
    assert checked(result) == [("ip", "ok"), ("loss", "ok")]
    # All weights are equal, so all scores are, and the loss has its largest gradient at the wrong labels.
    assert result.out[-1] == "2 layers, all gradients are right"


def test_the_seed_decides(net, run):
    first, second, third = (run("gradcheck", net(), "--seed", seed, level=2).out for seed in (1, 1, 2))
    assert first == second
    assert first != third


def test_failures(net, fails, misused):
    assert misused("gradcheck", net(), "--layer", "conv9") == "Error: No layer 'conv9' in net.prototxt."
    assert (
        fails("gradcheck", net(), "--layer", "best") == "Error: net.prototxt: there is no gradient to check"
    )
    assert fails("gradcheck", "none.prototxt") == "Error: no such file: 'none.prototxt'"
