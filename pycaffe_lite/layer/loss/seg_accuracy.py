"""SegAccuracy: how well each pixel of an image was classified."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("SegAccuracy", param="seg_accuracy_param", origin="DeepLab and PSPNet")
class SegAccuracyLayer(Layer[caffe_pb2.SegAccuracyParameter]):
    """Pixel accuracy, mean recall and mean intersection over union, from a confusion matrix.

    A pixel's class is that of its highest score, of equal ones the last. Recall is the mean over the classes
    that occur; intersection over union the mean over all C classes, with 1 for one that occurs nowhere.
    With `reset: false` the matrix grows with each forward pass.

    Bottom: scores, (N, C, H, W); labels, (N, 1, H, W), of which those named by `ignore_label` do not count.
    Top: the three numbers, (1, 1, 1, 3). There is no gradient.
    Raises LayerError for shapes that do not fit, and a label that is no class.
    Source: hszhao/PSPNet src/caffe/layers/seg_accuracy_layer.cpp, src/caffe/util/confusion_matrix.cpp
    """

    exact_bottoms = 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def allow_top_gradient(self, top_index: int) -> bool:
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.ignored = np.array(self.param.ignore_label, np.int64)
        classes = bottom[0].channels
        self.confusion = np.zeros((classes, classes), np.int64)  # rows: labels

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        scores, labels = bottom
        if not scores.channels:
            raise self.error(f"needs scores of 1 class or more, got shape {scores.shape}")
        expected = (scores.num, 1, scores.height, scores.width)
        if (labels.num, labels.channels, labels.height, labels.width) != expected:
            raise self.error(
                f"needs labels of shape {expected} for scores of shape {scores.shape}, got {labels.shape}"
            )
        if scores.channels != len(self.confusion):
            raise self.error(f"needs {len(self.confusion)} classes, got scores of shape {scores.shape}")
        top[0].reshape(1, 1, 1, 3)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        classes = len(self.confusion)
        scores = bottom[0].data.reshape(bottom[0].num, classes, bottom[0].height * bottom[0].width)
        given = bottom[1].data.reshape(scores.shape[0], scores.shape[2])
        with np.errstate(invalid="ignore"):  # NaN becomes a number that is out of range
            labels = given.astype(np.int64)
        found = classes - 1 - scores[:, ::-1].argmax(axis=1)
        counts = ~np.isin(labels, self.ignored)
        labels, found, given = labels[counts], found[counts], given[counts]
        wrong = given[(labels < 0) | (labels >= classes)]
        if len(wrong):
            raise self.error(
                f"label {wrong[0]:g} is out of range: {classes} classes, 0 to {classes - 1}; "
                "name it by ignore_label to skip it"
            )
        if self.param.reset:
            self.confusion[...] = 0
        self.confusion += np.bincount(labels * classes + found, minlength=classes**2).reshape(-1, classes)
        top[0].data[...] = self._measures()

    def _measures(self) -> list[float]:
        right, labelled = self.confusion.diagonal(), self.confusion.sum(axis=1)
        either = labelled + self.confusion.sum(axis=0) - right
        occurs, total = labelled > 0, labelled.sum()
        recall = right[occurs] / labelled[occurs]
        overlap = np.divide(right, either, out=np.ones(len(right)), where=either > 0)
        return [right.sum() / total if total else 0.0, recall.mean() if total else 0.0, overlap.mean()]

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")
