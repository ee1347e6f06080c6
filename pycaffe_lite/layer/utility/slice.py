"""Slice: cuts a blob into pieces along one axis."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_shapes
from pycaffe_lite.layer.utility.parts import Parts
from pycaffe_lite.proto import caffe_pb2


@register_layer("Slice", param="slice_param")
class SliceLayer(Layer[caffe_pb2.SliceParameter]):
    """Cuts the bottom into pieces along `axis`, one for each top; dx is the tops' dy, one after another.

    It cuts at the `slice_point`s, or into equal pieces if there are none. `slice_dim` is an old name of the
    axis; unlike `axis`, it cannot count from the end.

    Bottom: x, (n, c, h, w). Top: one or more, (n, c_1, h, w), ..., (n, c_K, h, w) with c_1 + ... + c_K = c,
    for axis 1. A single top shares data and diff with the bottom.
    Raises LayerError for both axis and slice_dim, an axis that does not exist, slice points that do not
    increase, lie outside of the axis or are not one fewer than the tops, an axis that does not divide into
    equal pieces, and, if there are several tops, in place.
    Source: BVLC/caffe src/caffe/layers/slice_layer.cpp
    """

    exact_bottoms = 1
    min_tops = 1
    passes_values_on = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if p.HasField("axis") and p.HasField("slice_dim"):
            raise self.error("takes either axis or slice_dim, not both")
        if len(top) > 1:
            refuse_in_place(self, bottom, top)
        if p.slice_point and len(p.slice_point) != len(top) - 1:
            raise self.error(
                f"needs {len(top) - 1} slice points for its {len(top)} tops, got {len(p.slice_point)}"
            )

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if self.param.HasField("slice_dim"):
            self.axis = self.param.slice_dim
            if self.axis >= len(shape):
                raise self.error(f"slice_dim {self.axis} is out of range for a bottom of shape {shape}")
        else:
            self.axis = bottom[0].canonical_axis(self.param.axis)
        edges = self._edges(shape, len(top))
        for blob, start, stop in zip(top, edges, edges[1:], strict=False):
            blob.reshape((*shape[: self.axis], stop - start, *shape[self.axis + 1 :]))
        self.parts = Parts(shape, self.axis, edges)
        if len(top) == 1:
            top[0].share_data(bottom[0])
            top[0].share_diff(bottom[0])

    def _edges(self, shape: tuple[int, ...], pieces: int) -> list[int]:
        """The index at which each piece begins, and the one at which the last piece ends."""
        length, points = shape[self.axis], list(self.param.slice_point)
        if not points:
            if length % pieces:
                raise self.error(
                    f"cannot cut the {length} values of axis {self.axis} into {pieces} equal pieces, "
                    f"got bottom shape {shape}"
                )
            return [i * (length // pieces) for i in range(pieces + 1)]
        edges = [0, *points, length]
        if any(start >= stop for start, stop in zip(edges[:-2], points, strict=True)):
            raise self.error(f"needs slice points above 0 that increase, got {points}")
        if points[-1] > length or pieces > length:
            raise self.error(
                f"needs slice points within the {length} values of axis {self.axis}, got {points} "
                f"and bottom shape {shape}"
            )
        return edges

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if len(top) > 1:
            self.parts.split(bottom[0].data, (blob.data for blob in top))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if len(top) > 1 and propagate_down[0]:
            self.parts.join((blob.diff for blob in top), bottom[0].diff)
