"""Sigmoid: logistic function."""

from __future__ import annotations

from pycaffe_lite.kernels import sigmoid
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Sigmoid", param="sigmoid_param")
class SigmoidLayer(ElementwiseLayer[caffe_pb2.SigmoidParameter]):
    """Logistic sigmoid: y = 1 / (1 + e^-x); dx = dy y (1 - y).

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Source: BVLC/caffe src/caffe/layers/sigmoid_layer.cpp
    """

    kernels = sigmoid

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        note_engine(self)
