"""Clip: keeps values within an interval."""

from __future__ import annotations

from collections.abc import Mapping

from pycaffe_lite.kernels import clip
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Clip", param="clip_param")
class ClipLayer(ElementwiseLayer[caffe_pb2.ClipParameter]):
    """Keeps values within [min, max]: y = max(min, min(x, max)); dx = dy where min <= x <= max, else 0.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob. In place, as in Caffe, the gradient
    reads the clipped values and so passes everywhere.
    Raises LayerError if min or max is not given.
    Source: BVLC/caffe src/caffe/layers/clip_layer.cpp
    """

    kernels = clip

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        for bound in ("min", "max"):
            if not self.param.HasField(bound):
                raise self.error(f"needs clip_param {{ {bound}: ... }}, which is not given")

    def numbers(self) -> Mapping[str, float]:
        return {"low": self.param.min, "high": self.param.max}
