"""SeLU: scaled exponential linear unit."""

from __future__ import annotations

from collections.abc import Mapping

from pycaffe_lite.kernels import elu
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("SeLU", param="selu_param", origin="self-normalising nets")
@register_layer("SeLu", param="selu_param", origin="self-normalising nets")
class SeLULayer(ElementwiseLayer[caffe_pb2.SeLUParameter]):
    """Scaled exponential linear unit: y = λ x for x > 0, else λ α (e^x - 1), with λ = lambda and α = alpha.

    dx = λ dy for x > 0, else dy (λ α + y).

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Paper: Klambauer, Unterthiner, Mayr, Hochreiter, "Self-Normalizing Neural Networks", 2017 (arXiv
    1706.02515).
    """

    kernels = elu

    def numbers(self) -> Mapping[str, float]:
        return {"scale": getattr(self.param, "lambda"), "alpha": self.param.alpha}
