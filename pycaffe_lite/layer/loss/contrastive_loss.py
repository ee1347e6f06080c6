"""ContrastiveLoss: brings similar pairs together and keeps others apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.batch_loss import BatchLossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

NEAR = float(np.float32(1e-4))  # keeps the gradient's quotient finite if a pair coincides


@register_layer("ContrastiveLoss", param="contrastive_loss_param")
class ContrastiveLossLayer(BatchLossLayer[caffe_pb2.ContrastiveLossParameter]):
    """Contrastive loss of pairs at a distance d = |a - b|: 1/2N Σ (d² if similar, else max(0, margin - d)²).

    For similar pairs da = w/N (a - b). For others da = -w/N (margin - d) / (d + 1e-4) (a - b) if d < margin,
    else 0. db = -da; w is the loss weight.
    With `legacy_version`, a pair that is not similar counts max(0, margin - d²), and da = -w/N (a - b) if
    d² < margin.

    Bottom: a and b, (N, C, 1, 1) or (N, C); s, N numbers: a pair is similar if its s, cut to a whole number,
    is not 0. Top: the loss, ().
    Raises LayerError for bottoms of other shapes.
    Paper: Hadsell, Chopra, LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", 2006.
    Source: BVLC/caffe src/caffe/layers/contrastive_loss_layer.cpp
    """

    exact_bottoms = 3

    def allow_force_backward(self, bottom_index: int) -> bool:
        """True for all but the similarities."""
        return bottom_index != 2

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        a, b, similar = bottom
        shape = (self.N, a.channels, 1, 1)
        if any((blob.num, blob.channels, blob.height, blob.width) != shape for blob in (a, b)):
            raise self.error(f"needs two bottoms of one shape (N, C), got shapes {a.shape} and {b.shape}")
        if (similar.num, similar.count) != (self.N, self.N):
            raise self.error(f"needs {self.N} similarities, got shape {similar.shape}")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        a, b = (blob.data.reshape(self.N, -1) for blob in bottom[:2])
        self.difference = a - b
        squares = np.square(self.difference, dtype=np.float64).sum(axis=1)
        similar = np.trunc(bottom[2].data.ravel()) != 0
        if self.param.legacy_version:
            apart = np.maximum(self.param.margin - squares, 0)
            slope = np.where(apart > 0, -1.0, 0.0)
        else:
            distance = np.sqrt(squares)
            room = np.maximum(self.param.margin - distance, 0)
            apart, slope = np.square(room), -room / (distance + NEAR)
        top[0].data[...] = np.where(similar, squares, apart).sum() / (2 * self.N)
        self.slope = np.where(similar, 1.0, slope)  # da = w/N slope (a - b)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        scale = float(top[0].diff[()]) / self.N
        for i, sign in enumerate((1, -1)):
            if propagate_down[i]:
                factors = (sign * scale * self.slope).astype(self.dtype)
                np.multiply(self.difference, factors[:, np.newaxis], out=bottom[i].diff.reshape(self.N, -1))
