"""Flatten: merges axes into one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2


@register_layer("Flatten", param="flatten_param")
class FlattenLayer(Layer[caffe_pb2.FlattenParameter]):
    """The same values with the axes from `axis` to `end_axis`, both included, merged into one.

    Bottom: x, (n, c, h, w). Top: y, (n, c h w) by default; shares data and diff with x, but is not the same
    blob. An end_axis just before axis inserts a new axis of length 1 there.
    Raises LayerError for an axis that does not exist, for an end_axis further before axis, and in place.
    Source: BVLC/caffe src/caffe/layers/flatten_layer.cpp
    """

    exact_bottoms = exact_tops = 1
    passes_values_on = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        p, shape = self.param, bottom[0].shape
        start, end = bottom[0].canonical_axis(p.axis), bottom[0].canonical_axis(p.end_axis)
        if start > end + 1:
            raise self.error(
                f"needs an end_axis not before axis, got axis {p.axis} and end_axis {p.end_axis} "
                f"for bottom shape {shape}"
            )
        top[0].reshape((*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))
        top[0].share_data(bottom[0])
        top[0].share_diff(bottom[0])

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Nothing moves: top and bottom are the same memory."""

    @by_kernels
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Nothing moves: top and bottom are the same memory."""
