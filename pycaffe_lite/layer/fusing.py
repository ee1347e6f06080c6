"""Fusing: what a layer type offers so that one kernel can do its work and a neighbour's.

All of it is optional: a layer type inherits what it offers from the classes below, and one that inherits none
of them runs by itself. `net.fusion` decides which layers of a net run together.

Each class adds a second form of a verb. The two must do the same, so the fused form only counts if the class
that defines it defines the verb as well: a subclass that overrides `forward` alone is not fused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.layer.base import Blobs, Layer

Verb = TypeVar("Verb", bound=Callable[..., object])


class TakesEpilogue:
    """A layer that can apply an `Epilogue` to each value of its only top before it stores the value.

    A product (Convolution, InnerProduct) does so while the value is in a register, and the layers behind it
    that work in place (BatchNorm, Scale, ReLU) need not run.
    """

    # Whether the epilogue may only have a slope, that of a leaky ReLU, but no scale and no shift.
    takes_slopes_only: ClassVar[bool] = False

    def takes_epilogue(self) -> bool:
        """Whether `forward_with_epilogue` serves the layer with its parameters; asked after setup."""
        return True

    def forward_with_epilogue(self, bottom: Blobs, top: Blobs, epilogue: Epilogue) -> None:
        """Does what `forward` does, and applies `epilogue` to each value of the top."""
        raise NotImplementedError


class IsEpilogue:
    """A layer whose forward, in place, is a scale, a shift or a leaky ReLU for each channel (axis 1)."""

    # Whether backward can do without what the layer's own forward keeps.
    serves_backward: ClassVar[bool] = False

    def can_be_epilogue(self, top: Blobs) -> bool:
        """Whether `epilogue_before` describes forward completely, for a layer in place on this top."""
        raise NotImplementedError

    def epilogue_before(self, epilogue: Epilogue) -> Epilogue:
        """The epilogue that does what forward does, with the present learnable blobs, then `epilogue`."""
        raise NotImplementedError


class IsLeakyReLU(IsEpilogue):
    """A layer that is a leaky ReLU, y = x for x > 0, else s x.

    `epilogue_before` gives the slope s, and nothing else. A leaky ReLU is not an affine map, so it can only
    be the last of the layers in an epilogue.
    """

    serves_backward = True

    def can_be_epilogue(self, top: Blobs) -> bool:
        return len(top[0].shape) > 1


class TakesSlopeBack:
    """A layer that can also do the backward pass of a leaky ReLU that works in place on its only bottom."""

    def takes_slope_back(self) -> bool:
        """Whether `backward_with_slope` serves the layer with its parameters; asked after setup."""
        return True

    def backward_with_slope(
        self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs, slope: float
    ) -> None:
        """Does what `backward` does, and multiplies the diff by `slope` where the bottom is not positive."""
        raise NotImplementedError


class HoldsBottoms:
    """A layer whose top can hold its bottoms' data side by side, so that forward need not copy it.

    Attributes:
        holds_bottoms: whether reshape is to arrange that if it can; the net sets it.
    """

    holds_bottoms = False


def fills_tops(forward: Verb) -> Verb:
    """Marks a `forward` that writes all values of its tops, in memory that no other blob shares.

    The net may then let that memory be a part of another blob's (see `HoldsBottoms`).
    """
    forward.fills_tops = True  # type: ignore[attr-defined]
    return forward


# --------------------------------------------------------------------------------------- for the net's use


def is_from_one_class(layer: Layer[Any], *verbs: str) -> bool:
    """Whether one class defines all these methods of a layer: none is overridden without the others."""
    return len({next(c for c in type(layer).__mro__ if verb in vars(c)) for verb in verbs}) == 1


def may_fill_tops(layer: Layer[Any]) -> bool:
    """Whether a layer's forward is marked as `fills_tops`."""
    return getattr(layer.forward, "fills_tops", False)
