"""SoftmaxWithLoss as forks have it: with weights of classes, smooth labels, the loss of each position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import softmax, softmax_loss
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.labels import Labels
from pycaffe_lite.layer.loss.softmax_with_loss import SoftmaxWithLossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


def _says_more_than_caffes(layer: caffe_pb2.LayerParameter) -> bool:
    p = layer.loss_param
    return p.weight_by_label_freqs or p.label_smoothing != 0 or len(layer.top) == 3


@register_layer(
    "SoftmaxWithLoss", param="softmax_param", origin="SegNet, R-FCN and Intel", applies=_says_more_than_caffes
)
@register_layer("SoftmaxWithLossOHEM", param="softmax_param", origin="R-FCN")
class WeightedSoftmaxWithLossLayer(SoftmaxWithLossLayer):
    """Cross entropy of labels and softmax, with a weight a per class: loss = -1/Z Σ a[label] ln p[label].

    dx[n, c, i] = w/Z a[label] (p[n, c, i] - [c = label]). The weights are `class_weighting`, where
    `weight_by_label_freqs` is true, and 1 elsewhere; Z counts positions, not weights.

    With Intel's `label_smoothing` s, the loss is the same, and only the gradient takes smooth labels: with β
    = s / (C · inner) and α = 1 - s, dx[n, c, i] = w/Z (p[n, c, i] (α + (C · inner - 1) β) - t) with t = α for
    the label, and β for the other classes. (Where there is one position per image, inner is 1.)

    Top: the loss, (); optionally p, of the shape of x, and the loss of each position, of the shape of the
    labels, 0 where ignored, which has no gradient.
    Raises LayerError for another number of weights than classes.
    Source: alexgkendall/caffe-segnet, daijifeng001/caffe-rfcn, intel/caffe
    src/caffe/layers/softmax_loss_layer.cpp
    """

    max_tops = 3
    weighs_classes = True
    smooths_labels = True

    def allow_top_gradient(self, top_index: int) -> bool:
        return top_index == 0

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top[:1])
        if len(top) > 1:
            top[1].reshape_like(bottom[0])
            top[1].share_data(self.prob)
        if len(top) > 2:
            top[2].reshape_like(bottom[1])
        given = self.layer_param.loss_param
        weights = list(given.class_weighting) if given.weight_by_label_freqs else [1.0] * self.C
        if len(weights) != self.C:
            raise self.error(f"needs {self.C} numbers of class_weighting, one per class, got {len(weights)}")
        self.weights = np.array(weights, bottom[0].dtype)

    def _weights_of(self, labels: Labels) -> Array:
        """The weight of each position, 0 where it is ignored: (N, inner)."""
        weights: Array = np.where(labels >= 0, self.weights[labels], self.weights.dtype.type(0))
        return weights

    def _divisor(self) -> float:
        return self.fixed_Z or float(max(self.labels.counted, 1))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p = self._folded(self.prob.data)
        softmax.forward(self._folded(bottom[0].data), p)
        labels = self._read_labels(bottom[1])
        self.check_bottoms(bottom)
        p_of_label = np.take_along_axis(p, np.maximum(labels, 0)[:, None], axis=1)[:, 0]
        losses = -np.log(np.maximum(p_of_label, softmax_loss.LEAST)) * self._weights_of(labels)
        top[0].data[...] = losses.sum(dtype=np.float64) / self._divisor()
        if len(top) > 2:
            top[2].data.reshape(losses.shape)[...] = losses

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its labels")
        if propagate_down[0]:
            p, dx = self._folded(self.prob.data), self._folded(bottom[0].diff)
            labels = self._read_labels(bottom[1])
            self.check_bottoms(bottom)
            factor = self._weights_of(labels) * dx.dtype.type(float(top[0].diff[()]) / self._divisor())
            is_label = np.arange(self.C)[:, None] == labels[:, None]
            np.multiply(factor[:, None], self._above_target(p, is_label), out=dx)

    def _above_target(self, p: Array, is_label: Array) -> Array:
        """By how much each probability is larger than what the label makes of it."""
        smoothing = self.layer_param.loss_param.label_smoothing
        if not smoothing:
            difference: Array = p - is_label
            return difference
        classes = self.C * self.inner
        label, other = 1 - smoothing, smoothing / classes
        kept = p.dtype.type(label + (classes - 1) * other)
        smooth: Array = kept * p - np.where(is_label, label, other).astype(p.dtype)
        return smooth
