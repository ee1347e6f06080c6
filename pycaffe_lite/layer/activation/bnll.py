"""BNLL: binomial normal log likelihood."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels import bnll
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer


@register_layer("BNLL")
class BNLLLayer(NeuronLayer[None]):
    """Binomial normal log likelihood (softplus): y = log(1 + e^x); dx = dy e^x / (e^x + 1).

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob; a copy of x is kept then.
    Source: BVLC/caffe src/caffe/layers/bnll_layer.cpp
    """

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self.keep_input(bottom, top)
        bnll.forward(bottom[0].data.ravel(), top[0].data.ravel())

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            bnll.backward(self.seen_input(bottom, top).ravel(), top[0].diff.ravel(), bottom[0].diff.ravel())
