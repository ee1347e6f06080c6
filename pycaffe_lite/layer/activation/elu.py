"""ELU: exponential linear unit."""

from __future__ import annotations

from collections.abc import Mapping

from pycaffe_lite.kernels import elu
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("ELU", param="elu_param")
class ELULayer(ElementwiseLayer[caffe_pb2.ELUParameter]):
    """Exponential linear unit: y = x for x > 0, else alpha (e^x - 1); dx = dy for x > 0, else dy (alpha + y).

    With NVIDIA's `lambda`, y is multiplied by it. (In the fork, dx is then lambda dy (alpha + y) for x <= 0,
    which is not the gradient; here it is dy (lambda alpha + y).)

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Paper: Clevert, Unterthiner, Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear
    Units", 2015 (arXiv 1511.07289).
    Source: BVLC/caffe src/caffe/layers/elu_layer.cpp
    """

    kernels = elu

    def numbers(self) -> Mapping[str, float]:
        return {"alpha": self.param.alpha, "scale": getattr(self.param, "lambda")}
