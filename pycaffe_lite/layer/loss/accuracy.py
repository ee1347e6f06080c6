"""Accuracy: the share of predictions whose label is among the best scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels import accuracy
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.loss.labels import LabelReader
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_shapes
from pycaffe_lite.proto import caffe_pb2


@register_layer("Accuracy", param="accuracy_param")
class AccuracyLayer(Layer[caffe_pb2.AccuracyParameter]):
    """The share of predictions whose label has one of the `top_k` best scores.

    Predictions labelled `ignore_label` are left out. One is correct if fewer than top_k other classes have a
    score of at least the label's, so ties count against it. With happynear's `min_is_better`, the lowest
    scores are the best.

    Bottom: scores, (N, ..., C, ...) with the C classes on `axis`; labels, as many numbers from 0 to C - 1 as
    there are scores per class, their fractions cut off. Top: the accuracy, (), 0 if nothing counts;
    optionally the accuracy of each class, (C,), 0 for a class without labels. There is no backward.
    Raises LayerError for a wrong number of labels, for a label out of range, and for a top_k beyond C.
    Source: BVLC/caffe src/caffe/layers/accuracy_layer.cpp
    """

    exact_bottoms = 2
    min_tops = 1
    max_tops = 2

    def allow_force_backward(self, bottom_index: int) -> bool:
        """Always false: an accuracy has no gradient."""
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        self.labels = LabelReader(self, p.ignore_label if p.HasField("ignore_label") else None)

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, label = bottom
        axis = x.canonical_axis(self.param.axis)
        self.outer, self.C, self.inner = x.count_axes(0, axis), x.shape[axis], x.count_axes(axis + 1)
        if label.count != self.outer * self.inner:
            raise self.error(
                f"needs {self.outer * self.inner} labels for scores of shape {x.shape} with the classes on "
                f"axis {axis}, got label shape {label.shape}"
            )
        if self.param.top_k > self.C:
            raise self.error(f"needs top_k of at most the {self.C} classes, got {self.param.top_k}")
        self.correct, self.counted = np.empty(self.C, np.int64), np.empty(self.C, np.int64)
        top[0].reshape(())
        if len(top) == 2:
            top[1].reshape((self.C,))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        labels = self.labels.read(bottom[1], self.C).reshape(self.outer, self.inner)
        x = bottom[0].data.reshape(self.outer, self.C, self.inner)
        if self.param.min_is_better:
            x = -x
        accuracy.count(x, labels, self.param.top_k, self.correct, self.counted)
        top[0].data[...] = self.correct.sum() / max(self.counted.sum(), 1)
        if len(top) == 2:
            top[1].data[...] = self.correct / np.maximum(self.counted, 1)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")
