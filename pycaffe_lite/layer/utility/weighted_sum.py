"""Eltwise with lisa-caffe's `coeff_blob`: a sum whose coefficients are a bottom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

Operation = caffe_pb2.EltwiseParameter


def _has_coefficients(layer: caffe_pb2.LayerParameter) -> bool:
    return layer.eltwise_param.coeff_blob


@register_layer("Eltwise", param="eltwise_param", origin="lisa-caffe", applies=_has_coefficients)
class WeightedSumLayer(Layer[caffe_pb2.EltwiseParameter]):
    """A sum with coefficients from the last bottom: y = Σ coeff_k a[k] x_k over the K other bottoms.

    a[k] is repeated over the axes of x_k that it lacks; coeff_k is 1 where none are given. dx_k = coeff_k
    a[k] dy. The coefficients have no gradient.

    Bottom: x_k, of one shape; a, (K, ...), the axes after the first as long as the first axes of x_k.
    Top: y, the shape of x_0; may be the first bottom. Raises LayerError for another operation than SUM,
    another number of coeffs than K, and shapes that do not fit.
    Source: LisaAnne/lisa-caffe-public src/caffe/layers/eltwise_layer.cpp
    """

    min_bottoms = 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index < self.K

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        self.K = len(bottom) - 1
        if p.operation != Operation.SUM or p.allow_single_batch_input:
            raise self.error("takes coeff_blob only for operation SUM, without allow_single_batch_input")
        if len(p.coeff) not in (0, self.K):
            raise self.error(
                f"needs no coeff or one for each of its {self.K} bottoms but the last, got {len(p.coeff)}"
            )
        self.coeffs = np.array(list(p.coeff) or [1.0] * self.K)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape, given = bottom[0].shape, bottom[-1].shape
        for i, blob in enumerate(bottom[:-1]):
            if blob.shape != shape:
                raise self.error(
                    f"needs bottoms of one shape, got {shape} for bottom 0 and {blob.shape} for bottom {i}"
                )
        if given[:1] != (self.K,) or given[1:] != shape[: len(given) - 1]:
            raise self.error(
                f"needs coefficients of shape ({self.K}, ...), the rest as the first axes of {shape}, "
                f"got {given}"
            )
        self.repeated = (*given[1:], *(1 for _ in shape[len(given) - 1 :]))
        top[0].reshape_like(bottom[0])

    def _weights(self, bottom: Blobs) -> list[np.ndarray]:
        """coeff_k a[k], in a shape that goes with x_k."""
        a = bottom[-1].data
        return [
            a[k].reshape(self.repeated) * a.dtype.type(coeff) for k, coeff in enumerate(self.coeffs.tolist())
        ]

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        terms = [w * blob.data for w, blob in zip(self._weights(bottom), bottom[:-1], strict=True)]
        top[0].data[...] = sum(terms[1:], terms[0])

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[-1]:
            raise self.error("has no gradient for its coefficients")
        weights = self._weights(bottom)
        for k in reversed(range(self.K)):  # bottom 0 comes last: in place, its dx overwrites dy
            if propagate_down[k]:
                np.multiply(weights[k], top[0].diff, out=bottom[k].diff)
