"""A tensor of an ONNX model as a Caffe blob that is read in another order.

Transposing and reshaping are free as long as nobody needs the result: a view only notes in which order the
blob's values are to be read. So a net whose pictures have their channels last becomes one of Caffe's,
channels first, without a layer for it, and two transpositions that undo each other leave nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


class Factor(NamedTuple):
    """So many steps along an axis, each so many values of the blob apart."""

    size: int
    stride: int


Axis = tuple[Factor, ...]


@dataclass(frozen=True)
class View:
    """A tensor whose values are those of a blob, each once, in an order of its own.

    Attributes:
        blob: the blob's name.
        axes: of the tensor. An axis is made of factors, the slowest first: an axis of 6 whose factors are
            (2, 1) and (3, 2) goes through the values 0, 2, 4, 1, 3, 5 of the blob.
    """

    blob: str
    axes: tuple[Axis, ...]

    @classmethod
    def of(cls, blob: str, shape: Sequence[int]) -> View:
        """The blob as it is."""
        strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
        return cls(blob, tuple((Factor(n, step),) for n, step in zip(shape, strides, strict=True)))

    @property
    def shape(self) -> Shape:
        """Of the tensor."""
        return tuple(math.prod(factor.size for factor in axis) for axis in self.axes)

    @property
    def count(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def factors(self) -> list[Factor]:
        """All factors in the order in which the tensor goes through them."""
        return [factor for axis in self.axes for factor in axis]

    @property
    def stored(self) -> list[Factor]:
        """All factors in the order of the blob's values, the slowest first."""
        return sorted(self.factors, key=lambda factor: (-factor.stride, factor.size == 1))

    @property
    def dims(self) -> Shape:
        """A shape of the blob in which each factor has an axis."""
        return tuple(factor.size for factor in self.stored)

    @property
    def is_plain(self) -> bool:
        """Whether the tensor goes through the values as they lie."""
        strides = [factor.stride for factor in self.factors if factor.size > 1]
        return strides == sorted(strides, reverse=True)

    def with_blob(self, blob: str) -> View:
        """Another blob, read in the same order."""
        return replace(self, blob=blob)

    def transposed(self, order: Sequence[int]) -> View:
        """The tensor whose axis i is this one's axis order[i]."""
        return replace(self, axes=tuple(self.axes[i] for i in order))

    def reshaped(self, shape: Sequence[int]) -> View | None:
        """The tensor in another shape; None where that takes the values in an order that no view has."""
        left = _merged([factor for factor in self.factors if factor.size > 1])[::-1]
        axes: list[Axis] = []
        stride = self.count
        for size in shape:
            axis: list[Factor] = []
            while size > 1:
                if not left:
                    return None
                factor = left.pop()
                if size % factor.size == 0:
                    size //= factor.size
                elif factor.size % size == 0:
                    rest = factor.size // size
                    left.append(Factor(rest, factor.stride))
                    factor, size = Factor(size, rest * factor.stride), 1
                else:
                    return None
                axis.append(factor)
            axis = axis or [Factor(1, stride)]
            stride = axis[-1].stride
            axes.append(tuple(_merged(axis)))
        return None if left else replace(self, axes=tuple(axes))

    def place_of(self, axis: int) -> int | None:
        """Which axis of `dims` an axis is; None where it is made of several factors."""
        factors = self.axes[axis]
        if len(factors) != 1:
            return None
        return next(i for i, factor in enumerate(self.stored) if factor is factors[0])

    def resized(self, axis: int, size: int) -> tuple[Axis, ...]:
        """The axes of a tensor of the same order in which one axis, of a single factor, has another size."""
        places = {id(factor): i for i, factor in enumerate(self.stored)}
        sizes = list(self.dims)
        sizes[places[id(self.axes[axis][0])]] = size
        strides = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
        return tuple(
            tuple(Factor(sizes[places[id(factor)]], strides[places[id(factor)]]) for factor in factors)
            for factors in self.axes
        )

    def has_order_of(self, other: View, but: int | None = None) -> bool:
        """Whether both tensors go through their blobs in the same order, whatever the size of one axis."""
        if len(self.axes) != len(other.axes):
            return False
        mine, others = self._order(), other._order()
        sizes = zip(self.axes, other.axes, strict=True)
        return mine == others and all(
            i == but or [f.size for f in a] == [f.size for f in b] for i, (a, b) in enumerate(sizes)
        )

    def _order(self) -> list[list[int]]:
        places = {id(factor): i for i, factor in enumerate(self.stored)}
        return [[places[id(factor)] for factor in axis] for axis in self.axes]

    def to_storage(self, values: Array) -> Array:
        """Values of the tensor's shape in the order of the blob, shaped as `dims`.

        An axis of size 1 may stand for one along which all values are equal; it stays one.
        """
        factors = self.factors
        places = {id(factor): i for i, factor in enumerate(factors)}
        pairs = zip(values.shape, self.shape, self.axes, strict=True)
        sizes = [f.size if own == size else 1 for own, size, axis in pairs for f in axis]
        split = values.reshape(sizes)
        stored: Array = split.transpose([places[id(factor)] for factor in self.stored])
        return stored

    def from_storage(self, values: Array) -> Array:
        """The blob's values as the tensor has them."""
        factors = self.factors
        places = {id(factor): i for i, factor in enumerate(self.stored)}
        order = [places[id(factor)] for factor in factors]
        return np.ascontiguousarray(values.reshape(self.dims).transpose(order)).reshape(self.shape)


def _merged(factors: Sequence[Factor]) -> list[Factor]:
    """The same order with as few factors as possible."""
    merged: list[Factor] = []
    for factor in factors:
        last = merged[-1] if merged else None
        if last is None:
            merged.append(Factor(*factor))
        elif factor.size > 1 and last.size == 1:
            merged[-1] = Factor(*factor)
        elif factor.size > 1 and last.stride != factor.size * factor.stride:
            merged.append(Factor(*factor))
        elif factor.size > 1:
            merged[-1] = Factor(last.size * factor.size, factor.stride)
    return merged


def permutation_of(view: View) -> tuple[Shape, tuple[int, ...]]:
    """A view as a transposition with as few axes as possible.

    Returns:
        A shape of the blob, and the order in which the tensor has its axes.
    """
    merged = _merged([factor for factor in view.factors if factor.size > 1])
    stored = sorted(merged, key=lambda factor: -factor.stride)
    places = {factor.stride: i for i, factor in enumerate(stored)}
    return tuple(factor.size for factor in stored), tuple(places[factor.stride] for factor in merged)
