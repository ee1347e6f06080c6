"""HashingLoss: codes of like items near each other, and near to -1 and 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.batch_loss import BatchLossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("HashingLoss", param="hashing_loss_param", origin="deep supervised hashing (DSH)")
class HashingLossLayer(BatchLossLayer[caffe_pb2.HashingLossParameter]):
    """Loss of codes: 1/(N (N - 1)) Σ_{i<j} l_ij + tradeoff/N Σ | |x| - 1 |.

    For a pair with d = |x_i - x_j|², l is d if the items are alike, else max(0, bi_margin - d). Items are
    alike if their labels, cut to whole numbers, are equal, or with several labels an item, 0 or 1, if they
    share one. The gradient is the fork's, which has half of that of the pairs' part:
    dx_i = w/(N (N - 1)) Σ_j ±(x_i - x_j) + w tradeoff/N s, + for like pairs, - for unlike ones within the
    margin; s is 1 for x ≥ 1 and -1 ≤ x ≤ 0, else -1; w is the loss weight. (The fork computes it in the
    forward pass.)

    Bottom: x, the codes, (N, bits) or (N, bits, 1, 1); the labels, (N,) or (N, labels). Top: the loss, ().
    Raises LayerError for a batch of fewer than two items, codes with height or width, and labels whose
    number is no multiple of N.
    Paper: Liu et al., "Deep Supervised Hashing for Fast Image Retrieval", 2016.
    Source: lhmRyan/deep-supervised-hashing-DSH src/caffe/layers/hashing_loss_layer.cpp
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        x, labels = bottom
        if x.count_axes(2) != 1:
            raise self.error(f"needs codes without height or width, got shape {x.shape}")
        if self.N < 2:
            raise self.error(f"needs two items or more, got codes of shape {x.shape}")
        if labels.count == 0 or labels.count % self.N:
            raise self.error(f"needs labels of {self.N} items, got shape {labels.shape}")

    def _pairs(self, bottom: Blobs) -> tuple[Array, Array, Array]:
        """Codes; squared distances of all pairs; where the items are alike."""
        x = bottom[0].data.reshape(self.N, -1)
        labels = bottom[1].data.reshape(self.N, -1)
        alike = labels @ labels.T > 0 if labels.shape[1] > 1 else labels.astype(int) == labels.astype(int).T
        squares = np.square(x[:, None].astype(np.float64) - x).sum(axis=2)
        return x, squares, alike

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, squares, alike = self._pairs(bottom)
        losses = np.where(alike, squares, np.maximum(0, self.param.bi_margin - squares))
        rest = np.abs(np.abs(x.astype(np.float64)) - 1).sum()
        pairs = np.triu(losses, 1).sum() / (self.N * (self.N - 1))
        top[0].data[...] = pairs + self.param.tradeoff * rest / self.N

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its labels")
        if propagate_down[0]:
            w = float(top[0].diff[()])
            x, squares, alike = self._pairs(bottom)
            signs = np.where(alike, 1.0, np.where(squares < self.param.bi_margin, -1.0, 0.0))
            np.fill_diagonal(signs, 0)
            pulls = signs.sum(axis=1)[:, None] * x - signs @ x
            outward = np.where((x >= 1) | ((x <= 0) & (x >= -1)), 1.0, -1.0)
            dx = w / (self.N * (self.N - 1)) * pulls + w * self.param.tradeoff / self.N * outward
            bottom[0].diff.reshape(self.N, -1)[...] = dx
