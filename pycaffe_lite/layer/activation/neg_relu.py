"""NegReLU: rectified linear unit of negative values."""

from __future__ import annotations

from collections.abc import Mapping

from pycaffe_lite.kernels import neg_relu
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("NegReLU", param="relu_param", origin="FlowNet")
class NegReLULayer(ElementwiseLayer[caffe_pb2.ReLUParameter]):
    """Rectified linear unit of negative values: y = min(0, x) + s max(0, x), s = negative_slope.

    dx = dy for x < 0, else s dy.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Source: lmb-freiburg/flownet2 src/caffe/layers/neg_relu_layer.cpp
    """

    kernels = neg_relu
    keeps_input = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        note_engine(self)

    def numbers(self) -> Mapping[str, float]:
        return {"slope": self.param.negative_slope}
