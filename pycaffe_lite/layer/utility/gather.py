"""Gather: slices of a blob picked by fixed indices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Gather", param="gather_param", origin="synopsys")
class GatherLayer(Layer[caffe_pb2.GatherParameter]):
    """The slices of x along `axis` that `indices` names, in their shape: y[a, i, b] = x[a, indices[i], b].

    Bottom: x. Top: y, the shape of x with `shape` in place of the axis; a shape of 0 alone is a scalar, which
    takes the axis away. Runs forward only, as in its fork.
    Raises LayerError for an axis or an index that there is not, for another number of indices than the shape
    has places, and in place.
    Source: foss-for-synopsys-dwc-arc-processors/synopsys-caffe src/caffe/layers/gather_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        self.shape = tuple(self.param.shape)
        if self.shape == (0,):
            self.shape = ()
        self.indices = np.array(self.param.indices, np.int64)
        if len(self.indices) != math.prod(self.shape):
            raise self.error(
                f"needs {math.prod(self.shape)} indices for shape {self.shape}, got {len(self.indices)}"
            )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        self.axis = bottom[0].canonical_axis(self.param.axis)
        if max(self.indices, default=0) >= shape[self.axis]:
            raise self.error(f"needs indices below {shape[self.axis]}, got {max(self.indices)}")
        top[0].reshape((*shape[: self.axis], *self.shape, *shape[self.axis + 1 :]))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        taken = np.take(bottom[0].data, self.indices, self.axis)
        top[0].data[...] = taken.reshape(top[0].shape)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")
