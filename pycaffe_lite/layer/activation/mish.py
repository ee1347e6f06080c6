"""Mish: a smooth unit that gates itself."""

from __future__ import annotations

from pycaffe_lite.kernels import mish
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.registry import register_layer


@register_layer("Mish", origin="synopsys")
class MishLayer(ElementwiseLayer[None]):
    """Mish: y = x g with the gate g = tanh(ln(1 + e^x)); dx = dy (g + x (1 - g²) / (1 + e^-x)).

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob, in which case a copy of x is kept for
    the gradient.
    Paper: Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019 (arXiv 1908.08681).
    Source: foss-for-synopsys-dwc-arc-processors/synopsys-caffe src/caffe/layers/mish_layer.cpp, whose
    gradient reads y for x; here it is the true one
    """

    kernels = mish
    keeps_input = True
