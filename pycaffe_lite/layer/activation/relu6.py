"""ReLU6: rectified linear unit with a ceiling of 6."""

from __future__ import annotations

from collections.abc import Mapping

from pycaffe_lite.kernels import relu6
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("ReLU6", param="relu6_param", origin="MobileNet")
class ReLU6Layer(ElementwiseLayer[caffe_pb2.ReLUParameter]):
    """Rectified linear unit up to 6: y = min(max(0, x) + s min(0, x), 6), s = negative_slope.

    dx = dy for 0 < x < 6, s dy for x <= 0, and 0 from 6 on.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Paper: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
    Applications", 2017 (arXiv 1704.04861).
    Source: eric612/MobileNet-YOLO src/caffe/layers/relu6_layer.cpp
    """

    kernels = relu6

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        note_engine(self)

    def numbers(self) -> Mapping[str, float]:
        return {"slope": self.param.negative_slope}
