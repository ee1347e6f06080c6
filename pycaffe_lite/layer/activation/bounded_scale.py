"""Scale with happynear's `min_value` and `max_value`: factors that stay within bounds."""

from __future__ import annotations

import math

import numpy as np

from pycaffe_lite.layer.activation.scale import ScaleLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


def _has_bounds(layer: caffe_pb2.LayerParameter) -> bool:
    p = layer.scale_param
    return p.HasField("min_value") or p.HasField("max_value")


@register_layer("Scale", param="scale_param", origin="happynear's Caffe", applies=_has_bounds)
class BoundedScaleLayer(ScaleLayer):
    """Product y = x s (+ b), as Caffe's Scale, with an s that each forward pass brings within bounds first.

    s below `min_value` becomes it, and s above `max_value` that, in the blob or the second bottom itself; the
    gradients are those of the product.

    Source: happynear/caffe-windows src/caffe/layers/scale_layer.cpp
    """

    completes_batch_norm = False

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        low = p.min_value if p.HasField("min_value") else -math.inf
        high = p.max_value if p.HasField("max_value") else math.inf
        s = self._scale(bottom).data
        np.minimum(np.maximum(s, s.dtype.type(low)), s.dtype.type(high), out=s)
        super().forward(bottom, top)

    def can_be_epilogue(self, top: Blobs) -> bool:
        return False
