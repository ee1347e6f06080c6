"""SigmoidCrossEntropyLoss: cross entropy of independent probabilities, from scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pycaffe_lite.kernels import sigmoid_cross_entropy_loss
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.loss import BATCH_SIZE, LossLayer
from pycaffe_lite.layer.registry import register_layer


@register_layer("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLossLayer(LossLayer[Any]):
    """Cross entropy of targets and sigmoids: loss = -1/Z Σ (t ln σ(x) + (1 - t) ln(1 - σ(x))).

    σ(x) = 1 / (1 + e^-x). The sum leaves out targets that, cut to whole numbers, are `ignore_label`.
    `normalization` decides Z, by default BATCH_SIZE: N.
    dx = w/Z (σ(x) - t), 0 if left out; w is the loss weight.

    Bottom: x, the scores, (N, ...); t, the targets, (N, ...), as many numbers, usually from 0 to 1.
    Top: the loss, ().
    Raises LayerError for bottoms of other sizes.
    Source: BVLC/caffe src/caffe/layers/sigmoid_cross_entropy_loss_layer.cpp
    """

    default_normalization = BATCH_SIZE

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        x, t = bottom
        if x.count != t.count:
            raise self.error(f"needs as many targets as scores, got shapes {x.shape} and {t.shape}")
        self.outer, self.inner = x.count_axes(0, 1), x.count_axes(1)

    def _ignored(self) -> tuple[bool, int]:
        return self.ignore_label is not None, self.ignore_label or 0

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, t = (blob.data.ravel() for blob in bottom)
        total, counted = sigmoid_cross_entropy_loss.forward(x, t, *self._ignored())
        self.Z = self.normalizer(self.outer, self.inner, counted)
        top[0].data[...] = total / self.Z

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its targets")
        if propagate_down[0]:
            x, t = (blob.data.ravel() for blob in bottom)
            scale = float(top[0].diff[()]) / self.Z
            sigmoid_cross_entropy_loss.backward(x, t, *self._ignored(), scale, bottom[0].diff.ravel())
