"""LabelsequenceAccuracy: how many rows of labels were read without a mistake."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.sequence.labels import labels_without_blanks, merged
from pycaffe_lite.proto import caffe_pb2


@register_layer("LabelsequenceAccuracy", param="labelsequence_accuracy_param", origin="warp-ctc")
class LabelsequenceAccuracyLayer(Layer[caffe_pb2.LabelsequenceAccuracyParameter]):
    """The share of sequences whose best symbols say exactly the labels.

    Of each step the symbol with the highest score counts, of equal ones the first; repeated symbols are
    merged and blanks left out.

    Bottom: scores, (N, T, C); labels, (N, L), with blanks, which do not count. Top: the share, (). There is
    no gradient. Raises LayerError for shapes that do not fit, and for a label that is no symbol.
    Source: xmfbit/warpctc-caffe src/caffe/layers/labelsequence_accuracy_layer.cpp
    """

    exact_bottoms = 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def allow_top_gradient(self, top_index: int) -> bool:
        return False

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        scores, labels = bottom
        if len(scores.shape) < 3 or scores.count_axes(3) != 1:
            raise self.error(f"needs scores of shape (N, T, C), got {scores.shape}")
        if scores.count == 0:
            raise self.error(f"cannot take the share of no sequences, got shape {scores.shape}")
        if labels.shape[:1] != scores.shape[:1]:
            raise self.error(f"needs labels of {scores.shape[0]} sequences, got shape {labels.shape}")
        top[0].reshape(())

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        N, T, C = bottom[0].shape[:3]
        scores, blank = bottom[0].data.reshape(N, T, C), self.param.blank_label
        labels, lengths = labels_without_blanks(self, bottom[1], blank, C)
        right = [
            np.array_equal(merged(row, blank), of_row[:length])
            for row, of_row, length in zip(scores.argmax(axis=2), labels, lengths, strict=True)
        ]
        top[0].data[...] = np.mean(right)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")
