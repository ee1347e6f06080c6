"""SigmoidCrossEntropyBalanceLoss: cross entropy in which few edges weigh as much as many other pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.batch_loss import BatchLossLayer
from pycaffe_lite.layer.registry import register_layer


@register_layer("SigmoidCrossEntropyBalanceLoss", origin="HED and OSVOS")
class SigmoidCrossEntropyBalanceLossLayer(BatchLossLayer[Any]):
    """Class-balanced cross entropy: loss = -1/N Σ b (t ln σ(x) + (1 - t) ln(1 - σ(x))), for t 1 or 0.

    σ(x) = 1 / (1 + e^-x). In each image b is, for targets of 1, the share of zeros among both, and for
    targets of 0 the share of ones. dx = w b/N (σ(x) - t); w is the loss weight. Other targets have no loss
    and no gradient. (In the fork their gradient is w/N (σ(x) - t).)

    Bottom: x, the scores, (N, ...); t, as many targets. Top: the loss, ().
    Raises LayerError for bottoms of other sizes.
    Paper: Xie and Tu, "Holistically-Nested Edge Detection", 2015 (arXiv 1504.06375).
    Source: kmaninis/OSVOS-caffe caffe-osvos/src/caffe/layers/sigmoid_cross_entropy_balance_loss_layer.cpp
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        x, t = bottom
        if x.count != t.count:
            raise self.error(f"needs as many targets as scores, got shapes {x.shape} and {t.shape}")

    def _balanced(self, bottom: Blobs) -> tuple[Array, Array, Array]:
        """Scores, targets and b, 0 for other targets than 0 and 1: (N, count)."""
        x, t = (blob.data.reshape(self.N, -1) for blob in bottom)
        ones, zeros = t == 1, t == 0
        count_ones, count_zeros = (which.sum(axis=1, keepdims=True) for which in (ones, zeros))
        both = np.maximum(count_ones + count_zeros, 1)
        return x, t, np.where(ones, count_zeros / both, 0) + np.where(zeros, count_ones / both, 0)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, t, b = self._balanced(bottom)
        scores = x.astype(np.float64)
        losses = np.maximum(scores, 0) - scores * t + np.log1p(np.exp(-np.abs(scores)))
        top[0].data[...] = np.where(b > 0, b * losses, 0).sum() / self.N

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its targets")
        if propagate_down[0]:
            x, t, b = self._balanced(bottom)
            away = np.exp(-np.abs(x.astype(np.float64)))
            sigmoid = np.where(x >= 0, 1, away) / (1 + away)
            dx = float(top[0].diff[()]) / self.N * b * (sigmoid - t)
            bottom[0].diff.reshape(self.N, -1)[...] = np.where(b > 0, dx, 0)
