"""Softmax: scores to probabilities."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import softmax
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2


@register_layer("Softmax", param="softmax_param")
class SoftmaxLayer(NeuronLayer[caffe_pb2.SoftmaxParameter]):
    """Softmax over `axis`: y = e^(x - m) / Σ e^(x - m), m = max x; dx = y (dy - Σ dy y).

    Bottom: x, (N, ..., C, ...) with the C classes on `axis`. Top: y, the shape of x; may be the same blob.
    Source: BVLC/caffe src/caffe/layers/softmax_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        note_engine(self)

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        x = bottom[0]
        axis = x.canonical_axis(self.param.axis)
        self.shape = x.count_axes(0, axis), x.shape[axis], x.count_axes(axis + 1)

    def _folded(self, array: Array) -> Array:
        return array.reshape(self.shape)

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        softmax.forward(self._folded(bottom[0].data), self._folded(top[0].data))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            y, dy, dx = top[0].data, top[0].diff, bottom[0].diff
            softmax.backward(self._folded(y), self._folded(dy), self._folded(dx))
