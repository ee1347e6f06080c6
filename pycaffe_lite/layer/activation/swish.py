"""Swish: self-gated linear unit."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels import swish
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels
from pycaffe_lite.proto import caffe_pb2


@register_layer("Swish", param="swish_param")
class SwishLayer(NeuronLayer[caffe_pb2.SwishParameter]):
    """Swish: y = x g with the gate g = 1 / (1 + e^(-beta x)); dx = dy (beta y + g (1 - beta y)).

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Paper: Ramachandran, Zoph, Le, "Searching for Activation Functions", 2017 (arXiv 1710.05941).
    Source: BVLC/caffe src/caffe/layers/swish_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.gate = self.add_buffer()

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        self.gate.reshape_like(bottom[0])

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, gate, y = bottom[0].data, self.gate.data, top[0].data
        swish.forward(x.ravel(), self.param.beta, gate.ravel(), y.ravel())

    @by_kernels
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            y, gate, dy, dx = top[0].data, self.gate.data, top[0].diff, bottom[0].diff
            swish.backward(y.ravel(), gate.ravel(), dy.ravel(), self.param.beta, dx.ravel())
