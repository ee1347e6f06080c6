"""Eltwise: sum, product, maximum and the like of blobs, value by value."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import eltwise
from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.fusing import TakesEpilogue
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)

Operation = caffe_pb2.EltwiseParameter
PROD, SUM, MAX = Operation.PROD, Operation.SUM, Operation.MAX
SUB, DIV, MIN = Operation.SUB, Operation.DIV, Operation.MIN
_COMPARISONS = {MAX: (eltwise.maximum, eltwise.maximum_with), MIN: (eltwise.minimum, eltwise.minimum_with)}


@register_layer("Eltwise", param="eltwise_param")
class EltwiseLayer(Layer[caffe_pb2.EltwiseParameter], TakesEpilogue):
    """Sum, product or maximum of the bottoms x_k, value by value; or MyCaffe's difference, quotient, minimum.

    | operation | y            | dx_k                                                          |
    | --------- | ------------ | ------------------------------------------------------------- |
    | SUM       | Σ coeff_k x_k | coeff_k dy; coeff_k is 1 where none are given                 |
    | PROD      | Π x_k        | dy times the other factors; y / x_k dy without stable_prod_grad |
    | MAX       | max x_k      | dy for the largest, 0 for the others                          |
    | SUB       | coeff_0 x_0 - Σ coeff_k x_k over k > 0 | coeff_0 dy, -coeff_k dy             |
    | DIV       | x_0 / Π x_k over k > 0 | dy / Π x_k for k = 0, else -y / x_k dy              |
    | MIN       | min x_k      | dy for the smallest, 0 for the others                         |

    Of equal maxima, that of the second bottom wins over that of the first, and both win over later ones;
    minima likewise.

    Bottom: two or more of one shape. With `allow_single_batch_input` there are two, x_0 of shape (N, ...) and
    x_1 of shape (1, ...), which is repeated over the batch and whose gradient is summed over it. Top: y, of
    the shape of x_0; may be the first bottom, but PROD then has no gradient.
    Raises LayerError for bottoms of different shapes, for coeffs with PROD and DIV, for fewer or more coeffs
    than bottoms, and if the gradient of PROD in place is asked for.
    Source: BVLC/caffe src/caffe/layers/eltwise_layer.cpp; MyCaffe/layers/EltwiseLayer.cs, whose gradient of
    DIV is another, wrong one
    """

    min_bottoms = 2
    exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        coeffs, operation = list(p.coeff), Operation.EltwiseOp.Name(p.operation)
        if len(coeffs) not in (0, len(bottom)):
            raise self.error(
                f"needs no coeff or one for each of its {len(bottom)} bottoms, got {len(coeffs)}"
            )
        if coeffs and p.operation in (PROD, DIV):
            raise self.error(f"takes a coeff only for SUM, got operation {operation}")
        if coeffs and p.operation in _COMPARISONS:
            log.warning("layer '%s' (%s): coeff has no effect on %s", self.name, self.type, operation)
        self.coeffs = coeffs or [1.0] * len(bottom)
        self.is_sum = p.operation in (SUM, SUB)
        if p.operation == SUB:
            self.coeffs = [self.coeffs[0], *(-coeff for coeff in self.coeffs[1:])]
        self.repeats = p.allow_single_batch_input
        if self.repeats and len(bottom) != 2:
            raise self.error(f"takes 2 bottoms with allow_single_batch_input, got {len(bottom)}")
        self.repeated = self.add_buffer()  # the second bottom, as often as the batch has items
        self.winner = self.add_buffer(np.int32)  # the index of the bottom that has the maximum or minimum

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        for i, blob in enumerate(bottom):
            wanted = (1, *shape[1:]) if self.repeats and i == 1 else shape
            if blob.shape != wanted:
                needs = "a bottom 1 of one item" if self.repeats else "bottoms of one shape"
                raise self.error(f"needs {needs}, got {shape} for bottom 0 and {blob.shape} for bottom {i}")
        top[0].reshape_like(bottom[0])
        if self.repeats:
            self.repeated.reshape_like(bottom[0])
        if self.param.operation in _COMPARISONS:
            self.winner.reshape((bottom[0].count,))

    def _values(self, bottom: Blobs) -> list[Array]:
        """The values of the bottoms, flat, the second one repeated if it has to be."""
        if not self.repeats:
            return [blob.data.ravel() for blob in bottom]
        np.copyto(self.repeated.data, bottom[1].data)
        return [bottom[0].data.ravel(), self.repeated.data.ravel()]

    @by_kernels(when=lambda layer: layer.is_sum and not layer.repeats)
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        values, y = self._values(bottom), top[0].data.ravel()
        if self.is_sum:
            self._sum(values, y)
        elif self.param.operation in _COMPARISONS:
            of_two, with_another = _COMPARISONS[self.param.operation]
            winner = self.winner.data
            of_two(values[0], values[1], winner, y)
            for k, x in enumerate(values[2:], start=2):
                with_another(x, k, winner, y, winner, y)
        else:
            combine = eltwise.product if self.param.operation == PROD else eltwise.quotient
            combine(values[0], values[1], y)
            for x in values[2:]:
                combine(y, x, y)

    def _sum(self, values: Sequence[Array], y: Array, slope: float = 1.0) -> None:
        """Computes the sum, its values below 0 times `slope`."""
        first, *others, last = values
        total, coeff = first, self.coeffs[0]
        for x, x_coeff in zip(others, self.coeffs[1:-1], strict=True):
            eltwise.scaled_sum(total, coeff, x, x_coeff, 1.0, y)
            total, coeff = y, 1.0
        eltwise.scaled_sum(total, coeff, last, self.coeffs[-1], slope, y)

    @by_kernels(when=lambda layer: layer.is_sum and not layer.repeats)
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if self.param.operation == PROD and top[0] is bottom[0]:
            raise self.error("has no gradient for PROD in place: give its top a name of its own")
        values = self._values(bottom)
        for k in reversed(range(len(bottom))):  # bottom 0 comes last: in place, its dx overwrites dy
            if propagate_down[k] and self.repeats and k == 1:
                dx = np.empty_like(values[0])
                self._gradient(k, values, top, dx)
                bottom[1].diff[...] = dx.reshape(bottom[0].shape).sum(axis=0, keepdims=True)
            elif propagate_down[k]:
                self._gradient(k, values, top, bottom[k].diff.ravel())

    def _gradient(self, k: int, values: Sequence[Array], top: Blobs, dx: Array) -> None:
        """Computes the gradient of bottom k, of which the others have not been overwritten yet."""
        operation = self.param.operation
        y, dy = top[0].data.ravel(), top[0].diff.ravel()
        if self.is_sum:
            eltwise.scale(dy, self.coeffs[k], dx)
        elif operation in _COMPARISONS:
            eltwise.winner_gradient(self.winner.data, k, dy, dx)
        elif operation == DIV and k > 0:
            eltwise.divisor_gradient(y, values[k], dy, dx)
        elif operation == PROD and not self.param.stable_prod_grad:
            eltwise.quotient_product(y, values[k], dy, dx)
        else:
            combine = eltwise.product if operation == PROD else eltwise.quotient
            total = dy
            for other in (x for i, x in enumerate(values) if i != k):
                combine(total, other, dx)
                total = dx

    # --------------------------------- in one kernel with the layer behind it, see layer/fusing.py

    takes_slopes_only = True

    def takes_epilogue(self) -> bool:
        return self.is_sum and not self.repeats

    @by_kernels(when=takes_epilogue)
    def forward_with_epilogue(self, bottom: Blobs, top: Blobs, epilogue: Epilogue) -> None:
        self._sum(self._values(bottom), top[0].data.ravel(), epilogue.slope)
