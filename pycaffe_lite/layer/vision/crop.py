"""Crop: cuts a blob to the size of another."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Crop", param="crop_param")
class CropLayer(Layer[caffe_pb2.CropParameter]):
    """Cuts the first bottom to the size of the second from `offset` on, along the axes from `axis` on.

    A single offset counts for all cropped axes; without any, it is 0. dx is dy in the part and 0 outside.

    Bottom: x, (n, c, h, w); the reference, (., ., h', w'), of which only the shape counts and which gets no
    gradient. Top: y, (n, c, h', w') for axis 2.
    Raises LayerError for an axis that does not exist, another number of offsets, a reference of fewer axes, a
    part that reaches beyond x, and in place.
    Source: BVLC/caffe src/caffe/layers/crop_layer.cpp
    """

    exact_bottoms = 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape, reference = bottom[0].shape, bottom[1].shape
        axis = bottom[0].canonical_axis(self.param.axis)
        cropped = len(shape) - axis
        offsets = list(self.param.offset) or [0]
        if len(offsets) == 1:
            offsets *= cropped
        if len(offsets) != cropped:
            raise self.error(
                f"needs no offset, one, or one for each of the {cropped} axes from {axis} on, got {offsets}"
            )
        if len(reference) < len(shape):
            raise self.error(f"needs a reference of {len(shape)} axes like bottom 0, got shape {reference}")
        for i, offset in enumerate(offsets, start=axis):
            if offset + reference[i] > shape[i]:
                raise self.error(
                    f"cannot crop axis {i} to {reference[i]} from offset {offset} on: "
                    f"got bottom shapes {shape} and {reference}"
                )
        top[0].reshape((*shape[:axis], *reference[axis : len(shape)]))
        self.part = (slice(None),) * axis + tuple(
            slice(offset, offset + n) for offset, n in zip(offsets, top[0].shape[axis:], strict=True)
        )

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].data[...] = bottom[0].data[self.part]

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            dx = bottom[0].diff
            dx.fill(0)
            dx[self.part] = top[0].diff
