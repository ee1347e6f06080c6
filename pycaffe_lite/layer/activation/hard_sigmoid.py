"""HardSigmoid: a sigmoid made of straight lines."""

from __future__ import annotations

from collections.abc import Mapping

from pycaffe_lite.kernels import hard_sigmoid
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("HardSigmoid", param="hard_sigmoid_param", origin="synopsys")
class HardSigmoidLayer(ElementwiseLayer[caffe_pb2.HardSigmoidParameter]):
    """Sigmoid of straight lines: y = min(max(alpha x + beta, 0), 1); dx = alpha dy for 0 < y < 1, else 0.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Source: foss-for-synopsys-dwc-arc-processors/synopsys-caffe src/caffe/layers/hard_sigmoid_layer.cpp, which
    has no gradient
    """

    kernels = hard_sigmoid

    def numbers(self) -> Mapping[str, float]:
        return {"alpha": self.param.alpha, "beta": self.param.beta}
