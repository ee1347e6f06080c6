"""Parameter: a learnable blob as a top."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Parameter", param="parameter_param")
class ParameterLayer(Layer[caffe_pb2.ParameterParameter]):
    """A learnable blob that other layers read as their bottom.

    The top is the blob itself, data and diff. As in Caffe, the gradient that the reader writes for its bottom
    therefore *replaces* the blob's diff, whereas other layers add to the diffs of their blobs.

    Bottom: none. Top: y, of the given `shape`. Blobs: y, filled by happynear's `blob_filler` or with zeros.
    Source: BVLC/caffe src/caffe/layers/parameter_layer.cpp
    """

    exact_bottoms = 0
    exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        self.add_blob(tuple(p.shape.dim), p.blob_filler if p.HasField("blob_filler") else None)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape_like(self.blobs[0])
        # This is repeated because blobs that share weights are bound to their owner's memory after setup.
        top[0].share_data(self.blobs[0])
        top[0].share_diff(self.blobs[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Nothing moves: top and blob are the same memory."""

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Nothing moves: top and blob are the same memory."""
