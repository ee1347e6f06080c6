"""HingeLoss: margin loss of one class against the rest."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import hinge_loss
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.batch_loss import BatchLossLayer
from pycaffe_lite.layer.loss.labels import LabelReader, Labels
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("HingeLoss", param="hinge_loss_param")
class HingeLossLayer(BatchLossLayer[caffe_pb2.HingeLossParameter]):
    """Hinge loss, one class against the rest: h = max(0, 1 + s x), s = -1 at the label, else 1.

    norm L1: loss = 1/N Σ h, dx = w/N s [h > 0]; norm L2: loss = 1/N Σ h², dx = 2w/N s h.
    w is the loss weight.

    Bottom: x, the scores, (N, C, ...) read as (N, K), at most 4 axes; N labels, numbers from 0 to K - 1,
    their fractions cut off. Top: the loss, ().
    Raises LayerError for another number of labels, and for a label out of range.
    Source: BVLC/caffe src/caffe/layers/hinge_loss_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self.labels = LabelReader(self, None, can_ignore=False)
        self.squared = self.param.norm == caffe_pb2.HingeLossParameter.L2

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if bottom[1].count != self.N:
            raise self.error(f"needs {self.N} labels, got label shape {bottom[1].shape}")

    def _read(self, bottom: Blobs) -> tuple[Array, Labels]:
        """The scores, (N, K), and the labels."""
        x = bottom[0].data.reshape(self.N, -1)
        return x, self.labels.read(bottom[1], x.shape[1])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].data[...] = hinge_loss.forward(*self._read(bottom), self.squared) / self.N

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its labels")
        if propagate_down[0]:
            scale = float(top[0].diff[()]) / self.N
            dx = bottom[0].diff.reshape(self.N, -1)
            hinge_loss.backward(*self._read(bottom), self.squared, scale, dx)
