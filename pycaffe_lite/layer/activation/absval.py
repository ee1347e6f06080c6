"""AbsVal: absolute value."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels import absval
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer


@register_layer("AbsVal")
class AbsValLayer(NeuronLayer[None]):
    """Absolute value: y = |x|; dx = dy sign(x), with sign(0) = 0.

    Bottom: x, any shape. Top: y, the shape of x; not the same blob.
    Raises LayerError in place.
    Source: BVLC/caffe src/caffe/layers/absval_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        absval.forward(bottom[0].data.ravel(), top[0].data.ravel())

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            x, dy, dx = bottom[0].data, top[0].diff, bottom[0].diff
            absval.backward(x.ravel(), dy.ravel(), dx.ravel())
