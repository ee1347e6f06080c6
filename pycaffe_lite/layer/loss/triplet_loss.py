"""TripletLoss: an anchor nearer to its like than to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.batch_loss import BatchLossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("TripletLoss", param="triplet_loss_param", origin="happynear's Caffe")
class TripletLossLayer(BatchLossLayer[caffe_pb2.TripletLossParameter]):
    """Triplet loss: loss = 1/2N Σ max(0, margin + |a - p|² - |a - n|²).

    For the rows where that is above 0: da = w/N (n - p), dp = w/N (p - a), dn = w/N (a - n); w is the loss
    weight.

    Bottom: anchors a, their likes p, others n, (N, ...), equal shapes. Top: the loss, ().
    Raises LayerError for unequal shapes.
    Source: happynear/caffe-windows src/caffe/layers/triplet_loss_layer.cpp
    """

    exact_bottoms: ClassVar[int | None] = 3

    def allow_force_backward(self, bottom_index: int) -> bool:
        """All bottoms have a gradient."""
        return True

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        for blob in bottom[1:]:
            if blob.count != bottom[0].count:
                raise self.error(f"needs bottoms of one shape, got {bottom[0].shape} and {blob.shape}")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        a, p, n = (blob.data.reshape(self.N, -1) for blob in bottom)
        near = np.square(a - p).sum(axis=1, dtype=np.float64)
        far = np.square(a - n).sum(axis=1, dtype=np.float64)
        losses = np.maximum(0, self.param.margin + near - far)
        self.counts = losses > 0
        top[0].data[...] = losses.sum() / (2 * self.N)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        a, p, n = (blob.data.reshape(self.N, -1) for blob in bottom)
        scale = self.counts[:, None] * a.dtype.type(float(top[0].diff[()]) / self.N)
        for i, (x, y) in enumerate(((n, p), (p, a), (a, n))):
            if propagate_down[i]:
                np.multiply(scale, x - y, out=bottom[i].diff.reshape(self.N, -1))
