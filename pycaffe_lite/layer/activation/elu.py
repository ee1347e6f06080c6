"""ELU: exponential linear unit."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels import elu
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("ELU", param="elu_param")
class ELULayer(NeuronLayer[caffe_pb2.ELUParameter]):
    """Exponential linear unit: y = x for x > 0, else alpha (e^x - 1); dx = dy for x > 0, else dy (alpha + y).

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Paper: Clevert, Unterthiner, Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear
    Units", 2015 (arXiv 1511.07289).
    Source: BVLC/caffe src/caffe/layers/elu_layer.cpp
    """

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        elu.forward(bottom[0].data.ravel(), self.param.alpha, top[0].data.ravel())

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            x, y = bottom[0].data, top[0].data
            elu.backward(x.ravel(), y.ravel(), top[0].diff.ravel(), self.param.alpha, bottom[0].diff.ravel())
