"""ReLU: rectified linear unit."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels import relu
from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.fusing import IsLeakyReLU
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels
from pycaffe_lite.proto import caffe_pb2


@register_layer("ReLU", param="relu_param")
class ReLULayer(NeuronLayer[caffe_pb2.ReLUParameter], IsLeakyReLU):
    """Rectified linear unit: y = max(0, x) + s min(0, x), s = negative_slope; dx = dy for x > 0, else s dy.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Source: BVLC/caffe src/caffe/layers/relu_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        note_engine(self)

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        relu.forward(bottom[0].data.ravel(), self.param.negative_slope, top[0].data.ravel())

    @by_kernels
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            x, dy, dx = bottom[0].data, top[0].diff, bottom[0].diff
            relu.backward(x.ravel(), dy.ravel(), self.param.negative_slope, dx.ravel())

    # --------------------------------- in one kernel with the layer before it, see layer/fusing.py

    @by_kernels
    def epilogue_before(self, epilogue: Epilogue) -> Epilogue:
        return Epilogue(slope=self.param.negative_slope)
