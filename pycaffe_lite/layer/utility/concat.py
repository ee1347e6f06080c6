"""Concat: joins blobs along one axis."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.fusing import HoldsBottoms
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.layer.utility.parts import Parts
from pycaffe_lite.proto import caffe_pb2


@register_layer("Concat", param="concat_param")
class ConcatLayer(Layer[caffe_pb2.ConcatParameter], HoldsBottoms):
    """Puts the bottoms one after another along `axis`; the dx of each is its part of dy.

    If each bottom's values lie together in the top, as for a batch of one image, the net may let the top hold
    them (`net.joining`). Nothing is left to do then, and changing values of the top by hand changes them in
    the bottoms, too. If the bottoms take a smaller shape later, they stay where they are and the top moves.

    `concat_dim` is an old name of the axis; unlike `axis`, it cannot count from the end.

    Bottom: one or more, equal in all axes but `axis`: (n, c_1, h, w), ..., (n, c_K, h, w) for axis 1.
    Top: y, (n, c_1 + ... + c_K, h, w). A single bottom shares its data and diff with the top.
    Raises LayerError for both axis and concat_dim, an axis that does not exist, bottoms that do not fit, and,
    if there are several bottoms, in place.
    Source: BVLC/caffe src/caffe/layers/concat_layer.cpp
    """

    min_bottoms = 1
    exact_tops = 1
    passes_values_on = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if self.param.HasField("axis") and self.param.HasField("concat_dim"):
            raise self.error("takes either axis or concat_dim, not both")
        if len(bottom) > 1:
            refuse_in_place(self, bottom, top)

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        first = bottom[0].shape
        if self.param.HasField("concat_dim"):
            self.axis = self.param.concat_dim
            if self.axis >= len(first):
                raise self.error(f"concat_dim {self.axis} is out of range for a bottom of shape {first}")
        else:
            self.axis = bottom[0].canonical_axis(self.param.axis)
        for i, blob in enumerate(bottom):
            if self._without_axis(blob.shape) != self._without_axis(first) or len(blob.shape) != len(first):
                raise self.error(
                    f"needs bottoms that are equal in all axes but {self.axis}, "
                    f"got {first} for bottom 0 and {blob.shape} for bottom {i}"
                )
        edges = [0, *itertools.accumulate(blob.shape[self.axis] for blob in bottom)]
        top[0].reshape((*first[: self.axis], edges[-1], *first[self.axis + 1 :]))
        self.parts = Parts(top[0].shape, self.axis, edges)
        self.joined = False
        if len(bottom) == 1:
            top[0].share_data(bottom[0])
            top[0].share_diff(bottom[0])
            self.joined = True
        elif self.holds_bottoms and top[0].count_axes(0, self.axis) == 1:
            self.joined = top[0].hold_data(bottom)
        else:
            top[0].leave_data(bottom)

    def _without_axis(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[: self.axis] + shape[self.axis + 1 :]

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if not self.joined:
            self.parts.join((blob.data for blob in bottom), top[0].data)

    @by_kernels
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if len(bottom) > 1:
            wanted = zip(bottom, propagate_down, strict=True)
            self.parts.split(top[0].diff, (blob.diff if wants else None for blob, wants in wanted))
