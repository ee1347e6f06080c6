"""BNLL: binomial normal log likelihood."""

from __future__ import annotations

from pycaffe_lite.kernels import bnll
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.registry import register_layer


@register_layer("BNLL")
class BNLLLayer(ElementwiseLayer[None]):
    """Binomial normal log likelihood (softplus): y = log(1 + e^x); dx = dy e^x / (e^x + 1).

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob; a copy of x is kept then.
    Source: BVLC/caffe src/caffe/layers/bnll_layer.cpp
    """

    kernels = bnll
    keeps_input = True
