"""Reshape: the same values in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2


@register_layer("Reshape", param="reshape_param")
class ReshapeLayer(Layer[caffe_pb2.ReshapeParameter]):
    """The same values with other axes: `shape` in place of `num_axes` axes of the bottom from `axis` on.

    A dim of 0 copies the bottom's axis at the same place. One dim may be -1: it takes the length that keeps
    the count. num_axes -1 means all axes from `axis` on, and 0 inserts the new axes without taking any away.
    A negative axis counts the places between axes from the end: -1 is the place after the last axis.

    Bottom: x, any shape. Top: y, of the same count; shares data and diff with x, but is not the same blob.
    Raises LayerError for axes that do not exist, several dims of -1, counts that do not fit, and in place.
    Source: BVLC/caffe src/caffe/layers/reshape_layer.cpp
    """

    exact_bottoms = exact_tops = 1
    passes_values_on = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        dims, num_axes = list(self.param.shape.dim), self.param.num_axes
        if dims.count(-1) > 1 or any(n < -1 for n in dims):
            raise self.error(f"needs dims of 0 or more, of which one may be -1 instead, got {dims}")
        if num_axes < -1:
            raise self.error(f"needs num_axes of 0 or more, or -1 for all, got {num_axes}")

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(self._top_shape(bottom[0].shape))
        top[0].share_data(bottom[0])
        top[0].share_diff(bottom[0])

    def _top_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        p = self.param
        start = p.axis if p.axis >= 0 else len(shape) + p.axis + 1
        if not 0 <= start <= len(shape):
            raise self.error(f"axis {p.axis} is out of range for a bottom of shape {shape}")
        end = len(shape) if p.num_axes == -1 else start + p.num_axes
        if end > len(shape):
            raise self.error(
                f"axis {p.axis} and num_axes {p.num_axes} are out of range for a bottom of shape {shape}"
            )
        dims = list(p.shape.dim)
        for i, n in enumerate(dims):
            if n == 0:
                if start + i >= len(shape):
                    raise self.error(f"dim {i} is 0, but a bottom of shape {shape} has no axis {start + i}")
                dims[i] = shape[start + i]
        count = math.prod(shape)
        result = [*shape[:start], *dims, *shape[end:]]
        if -1 in dims:
            others = -math.prod(result)
            if others == 0 or count % others:
                raise self.error(
                    f"cannot find dim {dims.index(-1)}: the other dims make {others} values, which do not "
                    f"divide the {count} of bottom shape {shape}"
                )
            result[start + dims.index(-1)] = count // others
        if math.prod(result) != count:
            raise self.error(
                f"needs a shape of as many values as the bottom's {shape} has, {count}, "
                f"got {tuple(result)}, {math.prod(result)}"
            )
        return tuple(result)

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Nothing moves: top and bottom are the same memory."""

    @by_kernels
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Nothing moves: top and bottom are the same memory."""
