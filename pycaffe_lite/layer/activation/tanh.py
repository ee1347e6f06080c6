"""TanH: hyperbolic tangent."""

from __future__ import annotations

from pycaffe_lite.kernels import tanh
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("TanH", param="tanh_param")
class TanHLayer(ElementwiseLayer[caffe_pb2.TanHParameter]):
    """Hyperbolic tangent: y = tanh(x); dx = dy (1 - y²).

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Source: BVLC/caffe src/caffe/layers/tanh_layer.cpp
    """

    kernels = tanh

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        note_engine(self)
