"""MultinomialLogisticLoss: cross entropy of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.batch_loss import BatchLossLayer
from pycaffe_lite.layer.loss.labels import LabelReader, Labels
from pycaffe_lite.layer.registry import register_layer

LEAST = float(np.float32(1e-20))  # smaller probabilities count as this one, in float64 as well


@register_layer("MultinomialLogisticLoss")
class MultinomialLogisticLossLayer(BatchLossLayer[Any]):
    """Cross entropy of labels and probabilities: loss = -1/N Σ_n ln q, q = max(p[n, label], 1e-20).

    dp = -w / (N q) at the label, 0 elsewhere; w is the loss weight. SoftmaxWithLoss takes scores instead, and
    behaves better numerically.

    Bottom: p, (N, C, ...) read as (N, K), at most 4 axes; labels, (N, 1, 1, 1) or (N,), numbers from 0 to
    K - 1, their fractions cut off. Top: the loss, ().
    Raises LayerError for another shape of the labels, and for a label out of range.
    Source: BVLC/caffe src/caffe/layers/multinomial_logistic_loss_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self.labels = LabelReader(self, None, can_ignore=False)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        label = bottom[1]
        if (label.channels, label.height, label.width) != (1, 1, 1):
            raise self.error(f"needs {self.N} labels, got label shape {label.shape}")

    def _read(self, bottom: Blobs) -> tuple[tuple[Any, Labels], npt.NDArray[np.float64]]:
        """The indices of the labels' probabilities in p, read as (N, K); and q."""
        p = bottom[0].data.reshape(self.N, -1)
        picked = np.arange(self.N), self.labels.read(bottom[1], p.shape[1])
        return picked, np.maximum(p[picked].astype(np.float64), LEAST)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        _, q = self._read(bottom)
        top[0].data[...] = -np.log(q).sum() / self.N

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its labels")
        if propagate_down[0]:
            picked, q = self._read(bottom)
            dp = bottom[0].diff.reshape(self.N, -1)
            dp.fill(0)
            dp[picked] = -float(top[0].diff[()]) / (self.N * q)
