"""HardSwish: Swish with a gate made of straight lines."""

from __future__ import annotations

from pycaffe_lite.kernels import hard_swish
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.registry import register_layer


@register_layer("HardSwish", origin="synopsys")
class HardSwishLayer(ElementwiseLayer[None]):
    """Swish with a gate of straight lines: y = x min(max(x + 3, 0), 6) / 6.

    dx = dy (2 x + 3) / 6 for -3 < x < 3, 0 below and dy above.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob, in which case a copy of x is kept for
    the gradient.
    Paper: Howard et al., "Searching for MobileNetV3", 2019 (arXiv 1905.02244).
    Source: foss-for-synopsys-dwc-arc-processors/synopsys-caffe src/caffe/layers/hard_swish_layer.cpp, which
    has no gradient
    """

    kernels = hard_swish
    keeps_input = True
