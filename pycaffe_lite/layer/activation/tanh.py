"""TanH: hyperbolic tangent."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels import tanh
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("TanH", param="tanh_param")
class TanHLayer(NeuronLayer[caffe_pb2.TanHParameter]):
    """Hyperbolic tangent: y = tanh(x); dx = dy (1 - y²).

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Source: BVLC/caffe src/caffe/layers/tanh_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        note_engine(self)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        tanh.forward(bottom[0].data.ravel(), top[0].data.ravel())

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            y, dy, dx = top[0].data, top[0].diff, bottom[0].diff
            tanh.backward(y.ravel(), dy.ravel(), dx.ravel())
