"""Marks on verbs: they hold where they stand, and nobody inherits one for a verb of his own."""

import pytest
from layer_check import build_layer

from pycaffe_lite.layer.activation.relu import ReLULayer
from pycaffe_lite.layer.common.inner_product import InnerProductLayer
from pycaffe_lite.layer.registry import layer_types
from pycaffe_lite.layer.replay import by_kernels, is_by_kernels, is_by_shapes, prepare_diffs

IP = 'type: "InnerProduct" inner_product_param { num_output: 2 %s }'


class Plain(ReLULayer):
    """Overrides what ReLU marks."""

    def reshape(self, bottom, top):
        super().reshape(bottom, top)

    def forward(self, bottom, top):
        super().forward(bottom, top)


class Marked(Plain):
    """Says again what it overrides."""

    @by_kernels
    def forward(self, bottom, top):
        super().forward(bottom, top)


def test_a_mark_is_not_inherited_by_what_overrides_the_verb():
    layer = build_layer('type: "ReLU"', [[1.0]]).layer
    seen = []
    for kind in (ReLULayer, Plain, Marked):
        layer.__class__ = kind
        seen.append((is_by_kernels(layer, "forward"), is_by_kernels(layer, "backward"), is_by_shapes(layer)))
    assert seen == [(True, True, True), (False, True, False), (True, True, False)]


@pytest.mark.parametrize(("fields", "holds"), [("", True), ("transpose: true", False)])
def test_a_mark_may_depend_on_the_layer(fields, holds):
    layer = build_layer(IP % fields, [[[1.0, 2.0]]]).layer
    for verb in ("forward", "backward", "forward_with_epilogue"):
        assert is_by_kernels(layer, verb) == holds


class AddsOnly(InnerProductLayer):
    """Adds to its blobs' diffs in any case."""

    @by_kernels
    def backward(self, top, propagate_down, bottom):
        super().backward(top, propagate_down, bottom)


@pytest.mark.parametrize("kind", [InnerProductLayer, AddsOnly])
def test_cleared_diffs_are_left_to_a_backward_that_overwrites_them(kind):
    layer = build_layer(IP % "", [[[1.0, 2.0]]]).layer
    layer.__class__ = kind
    layer.param_propagate_down = [True, False]
    for blob in layer.blobs:
        blob.diff.fill(3)
        blob.clear_diff()
    prepare_diffs(layer)
    weight, bias = layer.blobs
    assert bias.diff_is_clear, "its gradient is not wanted"
    assert not weight.diff_is_clear
    assert (weight.diff == (3 if kind is InnerProductLayer else 0)).all()


def test_types_that_run_code_of_users_are_not_marked():
    python = layer_types()["Python"].layer_class
    assert not any(hasattr(getattr(python, verb), "by_kernels") for verb in ("forward", "backward"))
    assert not hasattr(python.reshape, "by_shapes")
