"""What the net asks of types that offer a second form of a verb; what it does with them is in tests/net."""

import pytest
from layer_check import build_layer

from pycaffe_lite.blob import Blob
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.fusing import (
    HoldsBottoms,
    IsEpilogue,
    IsLeakyReLU,
    TakesEpilogue,
    TakesSlopeBack,
    fills_tops,
    is_from_one_class,
    may_fill_tops,
)


class Base(Layer):
    def __init__(self):
        """Needs no message here."""

    def forward(self, bottom, top): ...

    def forward_with_epilogue(self, bottom, top, epilogue): ...


class OverridesOne(Base):
    def forward(self, bottom, top): ...


class OverridesBoth(Base):
    @fills_tops
    def forward(self, bottom, top): ...

    def forward_with_epilogue(self, bottom, top, epilogue): ...


class OverridesNone(Base):
    """Inherits all."""


@pytest.mark.parametrize(
    ("kind", "is_one"), [(Base, True), (OverridesOne, False), (OverridesBoth, True), (OverridesNone, True)]
)
def test_a_fused_form_counts_where_its_class_defines_the_verb_too(kind, is_one):
    assert is_from_one_class(kind(), "forward", "forward_with_epilogue") is is_one


def test_the_mark_of_a_forward_that_fills_its_tops():
    class Again(OverridesBoth):
        def forward(self, bottom, top): ...

    assert [may_fill_tops(kind()) for kind in (Base, OverridesBoth, Again)] == [False, True, False]


def test_an_offer_holds_unless_the_type_says_otherwise():
    assert TakesEpilogue().takes_epilogue()
    assert not TakesEpilogue.takes_slopes_only
    assert TakesSlopeBack().takes_slope_back()
    assert not IsEpilogue.serves_backward
    assert IsLeakyReLU.serves_backward
    assert not HoldsBottoms.holds_bottoms


def test_a_leaky_relu_needs_channels():
    relu = IsLeakyReLU()
    assert relu.can_be_epilogue([Blob((2, 3))])
    assert not relu.can_be_epilogue([Blob((2,))])


@pytest.mark.parametrize("offer", [IsEpilogue().can_be_epilogue, IsEpilogue().epilogue_before])
def test_second_forms_have_to_be_written(offer):
    with pytest.raises(NotImplementedError):
        offer([])


def test_a_relus_epilogue_is_its_slope():
    layer = build_layer('type: "ReLU" relu_param { negative_slope: 0.25 }', [[[1.0, -1.0]]]).layer
    assert layer.epilogue_before(None) == (None, None, 0.25)
