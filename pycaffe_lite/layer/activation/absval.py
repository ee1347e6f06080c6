"""AbsVal: absolute value."""

from __future__ import annotations

from pycaffe_lite.kernels import absval
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer


@register_layer("AbsVal")
class AbsValLayer(ElementwiseLayer[None]):
    """Absolute value: y = |x|; dx = dy sign(x), with sign(0) = 0.

    Bottom: x, any shape. Top: y, the shape of x; not the same blob.
    Raises LayerError in place.
    Source: BVLC/caffe src/caffe/layers/absval_layer.cpp
    """

    kernels = absval

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
