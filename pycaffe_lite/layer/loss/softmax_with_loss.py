"""SoftmaxWithLoss: the multinomial logistic loss of the softmax of scores."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import softmax, softmax_loss
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.loss.labels import LabelReader, Labels
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import ChecksBottoms, by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2


@register_layer("SoftmaxWithLoss", param="softmax_param")
class SoftmaxWithLossLayer(LossLayer[caffe_pb2.SoftmaxParameter], ChecksBottoms):
    """Cross entropy of labels and softmax: loss = -1/Z Σ ln max(p[n, label, i], 1.2e-38), p = softmax(x).

    The sum runs over all positions (n, i) except those labelled `ignore_label`; `normalization` decides Z.
    dx[n, c, i] = w/Z (p[n, c, i] - [c = label]), 0 if ignored; w is the loss weight.

    Bottom: x, the scores, (N, ..., C, ...) with the C classes on `axis`; labels, as many numbers from 0 to
    C - 1 as x has values per class, their fractions cut off. Top: the loss, (); optionally p, of
    the shape of x. With two tops and no loss_weight, the first top counts with weight 1.
    Raises LayerError for a wrong number of labels, and for a label out of range.
    Source: BVLC/caffe src/caffe/layers/softmax_loss_layer.cpp
    """

    exact_tops = None
    min_tops = 1
    max_tops = 2

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        note_engine(self)
        self.labels = LabelReader(self, self.ignore_label)
        self.prob = self.add_buffer()

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        x, label = bottom
        axis = x.canonical_axis(self.param.axis)
        self.outer, self.C, self.inner = x.count_axes(0, axis), x.shape[axis], x.count_axes(axis + 1)
        if label.count != self.outer * self.inner:
            raise self.error(
                f"needs {self.outer * self.inner} labels for scores of shape {x.shape} with the classes on "
                f"axis {axis}, got label shape {label.shape}"
            )
        self.fixed_Z = self.fixed_normalizer(self.outer, self.inner)
        self.labels.reshape(label)
        self.prob.reshape_like(x)
        if len(top) == 2:
            top[1].reshape_like(x)
            top[1].share_data(self.prob)

    def _folded(self, array: Array) -> Array:
        return array.reshape(self.outer, self.C, self.inner)

    def _read_labels(self, label: Blob) -> Labels:
        return self.labels.start(label, self.C).reshape(self.outer, self.inner)

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p = self._folded(self.prob.data)
        softmax.forward(self._folded(bottom[0].data), p)
        labels, loss = self._read_labels(bottom[1]), top[0].data.reshape(1)
        softmax_loss.forward(p, labels, self.labels.found, self.fixed_Z, loss)
        self.check_bottoms(bottom)

    @by_kernels
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its labels")
        if propagate_down[0]:
            p, dx = self._folded(self.prob.data), self._folded(bottom[0].diff)
            labels, weight = self._read_labels(bottom[1]), top[0].diff.reshape(1)
            softmax_loss.backward(p, labels, self.labels.found, self.fixed_Z, weight, dx)
            self.check_bottoms(bottom)

    def check_bottoms(self, bottom: Blobs) -> None:
        self.labels.check(bottom[1], self.C)
