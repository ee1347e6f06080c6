"""Permute and Transpose: the axes of a blob in another order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.layer.base import Blobs, Layer, P
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


class AxesLayer(Layer[P]):
    """Axes in another order: axis i of y is axis order[i] of x; dx has the axes of dy put back.

    Bottom: x, any shape. Top: y, the same values; where the order changes nothing, it shares data and diff
    with x.
    Raises LayerError for an axis that there is not or that is named twice, and in place.
    """

    exact_bottoms = exact_tops = 1

    def order(self, axes: int) -> Sequence[int]:
        """The axis of x that each axis of y is, for an x of so many axes."""
        raise NotImplementedError

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        self.from_axes = tuple(self.order(len(shape)))
        if sorted(self.from_axes) != list(range(len(shape))):
            raise self.error(
                f"needs each axis of bottom shape {shape} once at most, got the order {[*self.from_axes]}"
            )
        self.to_axes = tuple(np.argsort(self.from_axes))
        top[0].reshape(tuple(shape[axis] for axis in self.from_axes))
        self.moves = self.from_axes != tuple(range(len(shape)))
        if not self.moves:
            top[0].share_data(bottom[0])
            top[0].share_diff(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if self.moves:
            top[0].data[...] = bottom[0].data.transpose(self.from_axes)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0] and self.moves:
            bottom[0].diff[...] = top[0].diff.transpose(self.to_axes)


@register_layer("Permute", param="permute_param", origin="SSD")
class PermuteLayer(AxesLayer[caffe_pb2.PermuteParameter]):
    """Axes in another order, of which the first may be named; the others follow in their own order.

    Source: weiliu89/caffe src/caffe/layers/permute_layer.cpp
    """

    def order(self, axes: int) -> Sequence[int]:
        named = list(self.param.order)
        return named + [axis for axis in range(axes) if axis not in named]


@register_layer("Transpose", param="transpose_param", origin="warp-ctc")
class TransposeLayer(AxesLayer[caffe_pb2.TransposeParameter]):
    """Axes in another order, of which all are named.

    Source: dlunion/CC5.0 src/caffe/layers/transpose_layer.cpp
    """

    def order(self, axes: int) -> Sequence[int]:
        return list(self.param.dim)
