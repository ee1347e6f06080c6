"""Broadcasting of a small blob over a large one: shared by Scale and Bias."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import channels, eltwise, split
from pycaffe_lite.layer.base import Layer


def covered_shape(layer: Layer[Any], x: Blob, axis: int, num_axes: int) -> tuple[int, ...]:
    """The shape of the `num_axes` axes of x from `axis` on, or of all that follow if num_axes is -1.

    Raises:
        LayerError: x has fewer axes.
        NetError: x has no such axis.
    """
    start = x.canonical_axis(axis)
    if num_axes < -1:
        raise layer.error(f"needs num_axes of at least -1, got {num_axes}")
    if start + num_axes > len(x.shape):
        raise layer.error(f"needs {num_axes} axes from axis {start} on, got bottom shape {x.shape}")
    return x.shape[start:] if num_axes == -1 else x.shape[start : start + num_axes]


class Fold(NamedTuple):
    """A large blob read as (outer, size, inner), over which a part of (size,) is repeated.

    Attributes:
        outer: the number of values along the axes before the part's. size: the part's number of values.
        inner: the number of values along the axes after the part's.
    """

    outer: int
    size: int
    inner: int

    @property
    def is_elementwise(self) -> bool:
        """Whether the part is as large as the whole."""
        return self.outer == self.inner == 1

    def affine(self, x: Array, scale: Array | None, shift: Array | None, y: Array) -> None:
        """Computes y = x scale + shift; None stands for a scale of 1 or a shift of 0. y may be x."""
        if self.is_elementwise:
            self._elementwise(x.ravel(), scale, shift, y.ravel())
            return
        zeros = np.zeros(self.size, x.dtype)
        factor = np.ones(self.size, x.dtype) if scale is None else scale.ravel()
        summand = zeros if shift is None else shift.ravel()
        channels.affine(x.reshape(self), zeros, factor, summand, y.reshape(self))

    @staticmethod
    def _elementwise(x: Array, scale: Array | None, shift: Array | None, y: Array) -> None:
        if scale is not None:
            eltwise.product(x, scale.ravel(), y)
            x = y
        if shift is not None:
            split.add(x, shift.ravel(), y)

    def sums(self, a: Array, b: Array | None = None) -> tuple[Array, Array | None]:
        """The sums of a, and of a b, over all but the part's axes; flat, (size,) each."""
        if self.is_elementwise:
            product = None
            if b is not None:
                product = np.empty_like(a).ravel()
                eltwise.product(a.ravel(), b.ravel(), product)
            return a.ravel(), product
        folded = a.reshape(self)
        sum_a, sum_ab = np.empty(self.size), np.empty(self.size)
        channels.sums(folded, folded[:0] if b is None else b.reshape(self), sum_a, sum_ab)
        return sum_a, None if b is None else sum_ab


def fold(layer: Layer[Any], x: Blob, part: Blob, axis: int) -> Fold:
    """Says how `part` lies over x from `axis` on; a part without axes lies over all of x.

    Raises:
        LayerError: the part's axes are not x's.
        NetError: x has no such axis.
    """
    start = x.canonical_axis(axis) if part.shape else 0
    end = start + len(part.shape)
    if x.shape[start:end] != part.shape:
        raise layer.error(
            f"its {layer.type.lower()} of shape {part.shape} does not fit bottom shape {x.shape} from axis "
            f"{start} on"
        )
    return Fold(x.count_axes(0, start), part.count, x.count_axes(end))


def lies_over_channels(layer: Layer[Any], x: Blob, axis: int) -> bool:
    """Whether the layer's only blob, or its first, has one number for each channel (axis 1) of x."""
    learnt = len(layer.layer_param.bottom) == 1
    return learnt and x.canonical_axis(axis) == 1 and layer.blobs[0].shape == x.shape[1:2]
