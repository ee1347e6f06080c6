"""CenterLoss: features near the centre of their class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.labels import LabelReader
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("CenterLoss", param="center_loss_param", origin="happynear's Caffe")
class CenterLossLayer(LossLayer[caffe_pb2.CenterLossParameter]):
    """Distance from learnt centres: loss = 1/2M Σ |x - c[label]|², with `distance_type: "L1"` 1/M Σ |x - c|.

    dx = w/M s with s = x - c, or sign(x - c). The gradient of c[n] is -Σ s / (1 + count), over the count
    samples of class n, added once for each of them and whatever the loss weight: that is the fork's, and
    count times the paper's.

    Bottom: x, (M, K), all axes from `axis` on being K; labels, M of them. Top: the loss, (). Blob: the
    centres, (num_output, K), by `center_filler`. Without a loss_weight in the net x does not learn, unlike
    with other losses. Raises LayerError for another K than at setup, a label out of range, and another
    distance_type.
    Paper: Wen et al., "A Discriminative Feature Learning Approach for Deep Face Recognition", 2016.
    Source: happynear/caffe-windows src/caffe/layers/center_loss_layer.cpp
    """

    is_loss = False
    also_reads = ()

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        p = self.param
        if p.distance_type not in ("L1", "L2"):
            raise self.error(f"needs distance_type 'L1' or 'L2', got '{p.distance_type}'")
        if p.num_output < 1:
            raise self.error(
                "needs center_loss_param { num_output: ... } of 1 or more, the number of classes"
            )
        self.K = bottom[0].count_axes(bottom[0].canonical_axis(p.axis))
        self.centers = self.add_blob((p.num_output, self.K), p.center_filler)
        self.labels = LabelReader(self, None, can_ignore=False)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        axis = bottom[0].canonical_axis(self.param.axis)
        if bottom[0].count_axes(axis) != self.K:
            raise self.error(f"needs {self.K} values from axis {axis} on, got bottom shape {bottom[0].shape}")
        self.M = bottom[0].count_axes(0, axis)
        if bottom[1].count != self.M:
            raise self.error(f"needs {self.M} labels, got shape {bottom[1].shape}")
        if not self.M:
            raise self.error(f"cannot take the mean of no records, got bottom shape {bottom[0].shape}")
        top[0].reshape(())

    def _distances(self, bottom: Blobs) -> Array:
        """X - c[label]: (M, K)."""
        self.classes = self.labels.read(bottom[1], self.param.num_output).copy()
        distances: Array = bottom[0].data.reshape(self.M, self.K) - self.centers.data[self.classes]
        return distances

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        d = self._distances(bottom).astype(np.float64)
        total = np.abs(d).sum() if self.param.distance_type == "L1" else np.square(d).sum() / 2
        top[0].data[...] = total / self.M

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        d = self._distances(bottom)
        slopes = np.sign(d) if self.param.distance_type == "L1" else d
        if self.param_propagate_down[0]:
            counts = np.bincount(self.classes, minlength=self.param.num_output)
            sums = np.zeros((self.param.num_output, self.K))
            np.add.at(sums, self.classes, slopes)
            self.centers.diff[...] -= (counts / (1 + counts))[:, None] * sums
        if propagate_down[0]:
            scale = d.dtype.type(float(top[0].diff[()]) / self.M)
            np.multiply(scale, slopes, out=bottom[0].diff.reshape(d.shape))
