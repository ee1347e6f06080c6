"""EuclideanLoss: half the mean squared distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pycaffe_lite.kernels import euclidean_loss
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.batch_loss import BatchLossLayer
from pycaffe_lite.layer.registry import register_layer


@register_layer("EuclideanLoss")
class EuclideanLossLayer(BatchLossLayer[Any]):
    """Half the mean squared distance: loss = 1/2N Σ (a - b)²; da = w/N (a - b), db = -da.

    w is the loss weight.

    Bottom: a, (N, ...), at most 4 axes; b, (N, ...), with as many values. Top: the loss, ().
    Raises LayerError for bottoms of other sizes.
    Source: BVLC/caffe src/caffe/layers/euclidean_loss_layer.cpp
    """

    def allow_force_backward(self, bottom_index: int) -> bool:
        """Always true: both bottoms have a gradient."""
        return True

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if bottom[0].count != bottom[1].count:
            raise self.error(
                f"needs bottoms of as many values, got shapes {bottom[0].shape} and {bottom[1].shape}"
            )

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        a, b = (blob.data.ravel() for blob in bottom)
        top[0].data[...] = euclidean_loss.forward(a, b) / (2 * self.N)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        scale = float(top[0].diff[()]) / self.N
        for i in range(2):
            if propagate_down[i]:
                mine, other = bottom[i].data.ravel(), bottom[1 - i].data.ravel()
                euclidean_loss.backward(mine, other, scale, bottom[i].diff.ravel())
