"""The check of layers sees each mistake that it is there for: right layers, broken in one way at a time."""

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.layer.activation.bias import BiasLayer
from pycaffe_lite.layer.activation.relu import ReLULayer
from pycaffe_lite.layer.common.inner_product import InnerProductLayer
from pycaffe_lite.layer.replay import by_kernels

X = np.random.default_rng(0).normal(size=(3, 4))
RELU = 'type: "ReLU"'
IP = 'type: "InnerProduct" inner_product_param { num_output: 2 }'
BIAS = 'type: "Bias"'
RIGHT = ReLULayer.forward, ReLULayer.backward, ReLULayer.reshape
RIGHT_IP = InnerProductLayer.backward


def relu(bottoms, blobs):
    return [np.maximum(bottoms[0], 0)]


def product(bottoms, blobs):
    return [bottoms[0] @ blobs[0].T + blobs[1]]


def test_right_layers_pass():
    check_layer(RELU, [X], relu, in_place=True)
    check_layer(IP, [X], product)


def fails(monkeypatch, cls, method, replacement, message, *args, **options):
    monkeypatch.setattr(cls, method, replacement)
    with pytest.raises(AssertionError, match=message):
        check_layer(*args, **options)


def test_wrong_values(monkeypatch):
    def forward(self, bottom, top):
        RIGHT[0](self, bottom, top)
        top[0].data[...] *= 1 + 3e-5

    fails(monkeypatch, ReLULayer, "forward", forward, "top 0 in float32: differs by", RELU, [X], relu)


def test_wrong_shape(monkeypatch):
    def reshape(self, bottom, top):
        top[0].reshape(4, 3)

    fails(monkeypatch, ReLULayer, "reshape", reshape, r"shape \(4, 3\), should be \(3, 4\)", RELU, [X], relu)


def test_a_bottom_that_is_changed(monkeypatch):
    def forward(self, bottom, top):
        RIGHT[0](self, bottom, top)
        bottom[0].data[...] = 0

    fails(monkeypatch, ReLULayer, "forward", forward, "forward changes bottom 0", RELU, [X], relu)


def test_wrong_gradient(monkeypatch):
    def backward(self, top, propagate_down, bottom):
        RIGHT[1](self, top, propagate_down, bottom)
        bottom[0].diff[...] *= 1.01

    fails(monkeypatch, ReLULayer, "backward", backward, "bottom 0: WRONG, 12 elements", RELU, [X], relu)


def test_wrong_gradient_of_a_blob(monkeypatch):
    def backward(self, top, propagate_down, bottom):
        RIGHT_IP(self, top, propagate_down, bottom)
        self.blobs[1].diff[0] += 1

    fails(monkeypatch, InnerProductLayer, "backward", backward, "blob 1: WRONG, 2 elements", IP, [X])


def test_a_gradient_wrong_in_float32_only(monkeypatch):
    def backward(self, top, propagate_down, bottom):
        RIGHT[1](self, top, propagate_down, bottom)
        if propagate_down[0] and self.dtype == np.float32:
            bottom[0].diff[...] *= 1.01

    fails(monkeypatch, ReLULayer, "backward", backward, "float32 diff of bottom 0: differs", RELU, [X])


def test_a_bottom_diff_that_is_added_to(monkeypatch):
    def backward(self, top, propagate_down, bottom):
        before = bottom[0].diff.copy()
        RIGHT[1](self, top, propagate_down, bottom)
        if propagate_down[0]:
            bottom[0].diff[...] += before

    fails(monkeypatch, ReLULayer, "backward", backward, "diff of bottom 0 is not overwritten", RELU, [X])


def test_a_blob_diff_that_is_overwritten(monkeypatch):
    def backward(self, top, propagate_down, bottom):
        for blob in self.blobs:
            blob.diff[...] = 0
        RIGHT_IP(self, top, propagate_down, bottom)

    fails(monkeypatch, InnerProductLayer, "backward", backward, "diff of blob 0, added to 3", IP, [X])
    check_layer(IP, [X], adds_to_blob_diffs=False)


def test_a_bottom_diff_written_though_not_wanted(monkeypatch):
    def backward(self, top, propagate_down, bottom):
        RIGHT[1](self, top, [True], bottom)

    fails(monkeypatch, ReLULayer, "backward", backward, "propagate_down is false", RELU, [X])
    check_layer(RELU, [X], heeds_propagate_down=False)


def test_a_layer_that_does_not_bear_another_batch_size(monkeypatch):
    calls = []

    def remembers(self, bottom, top):
        calls.append(self)
        RIGHT[0](self, bottom, top)
        if calls.count(self) > 1:
            top[0].data[...] = 0

    fails(monkeypatch, ReLULayer, "forward", remembers, "after a change of the batch size", RELU, [X], relu)


def test_a_layer_that_does_not_work_in_place(monkeypatch):
    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 0
            bottom[0].diff[...] += top[0].diff * (bottom[0].data > 0)

    fails(
        monkeypatch,
        ReLULayer,
        "backward",
        backward,
        "diff of bottom 0 in place",
        RELU,
        [X],
        relu,
        in_place=True,
    )


def test_nan_in_a_top_does_not_pass(monkeypatch):
    def forward(self, bottom, top):
        RIGHT[0](self, bottom, top)
        top[0].data[0, 0] = np.nan

    fails(monkeypatch, ReLULayer, "forward", forward, "differs by nan", RELU, [X], relu)


def test_default_blobs_are_random_and_others_as_given():
    seen = []
    check_layer(IP, [X], lambda bottoms, blobs: seen.append(blobs) or product(bottoms, blobs))
    assert all(blob.all() for blob in seen[0])
    given = [np.ones((2, 4)), np.zeros(2)]
    check_layer(IP, [X], lambda bottoms, blobs: seen.append(blobs) or product(bottoms, blobs), blobs=given)
    assert np.array_equal(seen[-1][0], given[0])
    check_layer(IP, [X], lambda bottoms, blobs: seen.append(blobs) or product(bottoms, blobs), blobs=())
    assert not seen[-1][0].any()


def test_a_whole_layer_can_be_given():
    rig = build_layer('layer { name: "n" type: "ReLU" phase: TEST top: "y" }', [X])
    assert (rig.layer.name, rig.layer.phase, len(rig.top)) == ("n", 1, 1)


def test_a_verb_that_says_it_is_by_kernels_and_is_not(monkeypatch):
    @by_kernels
    def forward(self, bottom, top):
        np.maximum(bottom[0].data, 0, out=top[0].data)

    @by_kernels
    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            np.multiply(top[0].diff, bottom[0].data > 0, out=bottom[0].diff)

    @by_kernels
    def backward_blobs(self, top, propagate_down, bottom):
        RIGHT_IP(self, top, propagate_down, bottom)
        self.blobs[1].diff[...] += self.blobs[1].diff

    fails(monkeypatch, ReLULayer, "forward", forward, "replayed forward: top 0 differs", RELU, [X])
    monkeypatch.undo()
    fails(monkeypatch, ReLULayer, "backward", backward, "replayed backward: diff of bottom 0", RELU, [X])
    monkeypatch.undo()
    twice = {"check_blobs": False, "gradients": (0,)}
    fails(monkeypatch, InnerProductLayer, "backward", backward_blobs, "replayed .* blob 1", IP, [X], **twice)


def test_an_epilogue_that_says_it_is_by_kernels_and_is_not(monkeypatch):
    @by_kernels
    def epilogue_before(self, epilogue):
        return epilogue.behind(None, self.blobs[0].data * 1)

    why = "replayed epilogue_before: shift"
    fails(monkeypatch, BiasLayer, "epilogue_before", epilogue_before, why, BIAS, [X])
