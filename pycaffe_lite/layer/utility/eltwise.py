"""Eltwise: sum, product or maximum of blobs, value by value."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels import eltwise
from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.fusing import TakesEpilogue
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)

PROD, SUM, MAX = (
    caffe_pb2.EltwiseParameter.PROD,
    caffe_pb2.EltwiseParameter.SUM,
    caffe_pb2.EltwiseParameter.MAX,
)


@register_layer("Eltwise", param="eltwise_param")
class EltwiseLayer(Layer[caffe_pb2.EltwiseParameter], TakesEpilogue):
    """Sum, product or maximum of the bottoms x_k, value by value.

    | operation | y            | dx_k                                                          |
    | --------- | ------------ | ------------------------------------------------------------- |
    | SUM       | Σ coeff_k x_k | coeff_k dy; coeff_k is 1 where none are given                 |
    | PROD      | Π x_k        | dy times the other factors; y / x_k dy without stable_prod_grad |
    | MAX       | max x_k      | dy for the largest, 0 for the others                          |

    Of equal maxima, that of the second bottom wins over that of the first, and both win over later ones.

    Bottom: two or more of one shape. Top: y, of that shape; may be the first bottom, but PROD then has no
    gradient.
    Raises LayerError for bottoms of different shapes, for coeffs with PROD, for fewer or more coeffs than
    bottoms, and if the gradient of PROD in place is asked for.
    Source: BVLC/caffe src/caffe/layers/eltwise_layer.cpp
    """

    min_bottoms = 2
    exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        coeffs = list(self.param.coeff)
        if len(coeffs) not in (0, len(bottom)):
            raise self.error(
                f"needs no coeff or one for each of its {len(bottom)} bottoms, got {len(coeffs)}"
            )
        if coeffs and self.param.operation == PROD:
            raise self.error("takes a coeff only for SUM, got operation PROD")
        if coeffs and self.param.operation == MAX:
            log.warning("layer '%s' (%s): coeff has no effect on MAX", self.name, self.type)
        self.coeffs = coeffs or [1.0] * len(bottom)
        self.winner = self.add_buffer(np.int32)  # the index of the bottom that has the maximum

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        for i, blob in enumerate(bottom):
            if blob.shape != bottom[0].shape:
                raise self.error(
                    f"needs bottoms of one shape, got {bottom[0].shape} for bottom 0 "
                    f"and {blob.shape} for bottom {i}"
                )
        top[0].reshape_like(bottom[0])
        if self.param.operation == MAX:
            self.winner.reshape((bottom[0].count,))

    @by_kernels(when=lambda layer: layer.param.operation == SUM)
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if self.param.operation == SUM:
            self._sum(bottom, top)
            return
        y = top[0].data.ravel()
        first, second, *others = (blob.data.ravel() for blob in bottom)
        if self.param.operation == PROD:
            eltwise.product(first, second, y)
            for x in others:
                eltwise.product(y, x, y)
        else:
            winner = self.winner.data
            eltwise.maximum(first, second, winner, y)
            for k, x in enumerate(others, start=2):
                eltwise.maximum_with(x, k, winner, y, winner, y)

    def _sum(self, bottom: Blobs, top: Blobs, slope: float = 1.0) -> None:
        """Computes the sum, its values below 0 times `slope`."""
        y = top[0].data.ravel()
        first, *others, last = (blob.data.ravel() for blob in bottom)
        total, coeff = first, self.coeffs[0]
        for x, x_coeff in zip(others, self.coeffs[1:-1], strict=True):
            eltwise.scaled_sum(total, coeff, x, x_coeff, 1.0, y)
            total, coeff = y, 1.0
        eltwise.scaled_sum(total, coeff, last, self.coeffs[-1], slope, y)

    @by_kernels(when=lambda layer: layer.param.operation == SUM)
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        y, dy = top[0].data.ravel(), top[0].diff.ravel()
        if self.param.operation == PROD and top[0] is bottom[0]:
            raise self.error("has no gradient for PROD in place: give its top a name of its own")
        for k in reversed(range(len(bottom))):  # bottom 0 comes last: in place, its dx overwrites dy
            if not propagate_down[k]:
                continue
            dx = bottom[k].diff.ravel()
            if self.param.operation == SUM:
                eltwise.scale(dy, self.coeffs[k], dx)
            elif self.param.operation == MAX:
                eltwise.maximum_gradient(self.winner.data, k, dy, dx)
            elif self.param.stable_prod_grad:
                factors = dy
                for other in (blob.data.ravel() for i, blob in enumerate(bottom) if i != k):
                    eltwise.product(factors, other, dx)
                    factors = dx
            else:
                eltwise.quotient_product(y, bottom[k].data.ravel(), dy, dx)

    # --------------------------------- in one kernel with the layer behind it, see layer/fusing.py

    takes_slopes_only = True

    def takes_epilogue(self) -> bool:
        return self.param.operation == SUM

    @by_kernels(when=takes_epilogue)
    def forward_with_epilogue(self, bottom: Blobs, top: Blobs, epilogue: Epilogue) -> None:
        self._sum(bottom, top, epilogue.slope)
