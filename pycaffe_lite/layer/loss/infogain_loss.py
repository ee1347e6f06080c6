"""InfogainLoss: cross entropy with a weight for each pair of label and prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.kernels import infogain_loss, softmax
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.labels import LabelReader, Labels
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve


@register_layer("InfogainLoss", param="infogain_loss_param")
class InfogainLossLayer(LossLayer[caffe_pb2.InfogainLossParameter]):
    """Weighted cross entropy: loss = -1/Z Σ_n,i Σ_c H[label, c] ln max(p[n, c, i], 1e-20), p = softmax(x).

    The sum runs over all positions (n, i) except those labelled `ignore_label`. `normalization` decides Z, by
    default the number of these positions. With the identity as H this is SoftmaxWithLoss.
    dx[n, c, i] = w/Z (p[n, c, i] Σ_d H[label, d] - H[label, c]), 0 if ignored; w is the loss weight.

    Bottom: x, the scores, (N, ..., C, ...) with the C classes on `axis`; labels, as many numbers from 0 to
    C - 1 as x has values per class, their fractions cut off; optionally H, C² numbers. If there is no such
    bottom, the file `source` holds H. Top: the loss, (); optionally p, of the shape of x. With two tops and
    no loss_weight, the first top counts with weight 1.
    Raises LayerError for a wrong number of labels, a label out of range, an H of another size, without any H,
    and if loss_param sets the old `normalize`; FileLookupError or DataError for a source that cannot be read.
    Source: BVLC/caffe src/caffe/layers/infogain_loss_layer.cpp
    """

    exact_bottoms = None
    min_bottoms = 2
    max_bottoms = 3
    exact_tops = None
    min_tops = 1
    max_tops = 2

    def allow_force_backward(self, bottom_index: int) -> bool:
        """True for the scores only."""
        return bottom_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if self.layer_param.loss_param.HasField("normalize"):
            raise self.error("takes loss_param { normalization: ... }, not the old normalize")
        self.stored: Array | None = None if len(bottom) == 3 else self._read_matrix()
        self.labels = LabelReader(self, self.ignore_label)
        self.prob = self.add_buffer()

    def _read_matrix(self) -> Array:
        if not self.param.HasField("source"):
            raise self.error("needs its matrix H as a third bottom, or infogain_loss_param { source: ... }")
        try:
            matrix = binaryproto.read(resolve(self.param.source, self.context.folder), "matrices")
        except (DataError, FileLookupError) as error:
            raise type(error)(str(self.error(f"its source: {error}"))) from None
        return matrix.astype(self.dtype, copy=False)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        x, label = bottom[:2]
        axis = x.canonical_axis(self.param.axis)
        self.outer, self.C, self.inner = x.count_axes(0, axis), x.shape[axis], x.count_axes(axis + 1)
        if label.count != self.outer * self.inner:
            raise self.error(
                f"needs {self.outer * self.inner} labels for scores of shape {x.shape} with the classes on "
                f"axis {axis}, got label shape {label.shape}"
            )
        shape = bottom[2].shape if self.stored is None else self.stored.shape
        if np.prod(shape, dtype=np.int64) != self.C**2:
            raise self.error(f"needs a matrix H of {self.C} x {self.C} numbers, got shape {shape}")
        self.prob.reshape_like(x)
        if len(top) == 2:
            top[1].reshape_like(x)
            top[1].share_data(self.prob)

    def _folded(self, array: Array) -> Array:
        return array.reshape(self.outer, self.C, self.inner)

    def _matrix(self, bottom: Blobs) -> Array:
        matrix = bottom[2].data if self.stored is None else self.stored
        return matrix.reshape(self.C, self.C)

    def _read_labels(self, label: Blob) -> tuple[Labels, float]:
        """The labels, (outer, inner), and Z."""
        labels = self.labels.read(label, self.C).reshape(self.outer, self.inner)
        return labels, self.normalizer(self.outer, self.inner, self.labels.counted)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p = self._folded(self.prob.data)
        softmax.forward(self._folded(bottom[0].data), p)
        labels, Z = self._read_labels(bottom[1])
        top[0].data[...] = infogain_loss.forward(p, labels, self._matrix(bottom)) / Z

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its labels")
        if len(bottom) == 3 and propagate_down[2]:
            raise self.error("has no gradient for its matrix H")
        if propagate_down[0]:
            labels, Z = self._read_labels(bottom[1])
            H = self._matrix(bottom)
            totals = H.sum(axis=1, dtype=np.float64).astype(self.dtype)
            p, dx = self._folded(self.prob.data), self._folded(bottom[0].diff)
            infogain_loss.backward(p, labels, H, totals, float(top[0].diff[()]) / Z, dx)
