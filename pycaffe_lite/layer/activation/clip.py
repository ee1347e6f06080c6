"""Clip: keeps values within an interval."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels import clip
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Clip", param="clip_param")
class ClipLayer(NeuronLayer[caffe_pb2.ClipParameter]):
    """Keeps values within [min, max]: y = max(min, min(x, max)); dx = dy where min <= x <= max, else 0.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob. In place, as in Caffe, the gradient
    reads the clipped values and so passes everywhere.
    Raises LayerError if min or max is not given.
    Source: BVLC/caffe src/caffe/layers/clip_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        for bound in ("min", "max"):
            if not self.param.HasField(bound):
                raise self.error(f"needs clip_param {{ {bound}: ... }}, which is not given")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        clip.forward(bottom[0].data.ravel(), self.param.min, self.param.max, top[0].data.ravel())

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            x, dy, dx = bottom[0].data, top[0].diff, bottom[0].diff
            clip.backward(x.ravel(), dy.ravel(), self.param.min, self.param.max, dx.ravel())
