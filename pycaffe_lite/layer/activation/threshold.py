"""Threshold: comparison with a constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pycaffe_lite.kernels import threshold
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Threshold", param="threshold_param")
class ThresholdLayer(ElementwiseLayer[caffe_pb2.ThresholdParameter]):
    """Comparison: y = 1 where x > threshold, else 0. There is no gradient.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Raises LayerError if a gradient is asked for.
    Source: BVLC/caffe src/caffe/layers/threshold_layer.cpp
    """

    kernels = threshold

    def allow_force_backward(self, bottom_index: int) -> bool:
        """Always false: there is no gradient."""
        return False

    def numbers(self) -> Mapping[str, float]:
        return {"threshold": self.param.threshold}

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            raise self.error("has no gradient to propagate down to its bottom")
