"""The base of the losses."""

from __future__ import annotations

from typing import ClassVar

from pycaffe_lite.layer.base import Blobs, Layer, P
from pycaffe_lite.proto import caffe_pb2

FULL = caffe_pb2.LossParameter.FULL
VALID = caffe_pb2.LossParameter.VALID
BATCH_SIZE = caffe_pb2.LossParameter.BATCH_SIZE
NONE = caffe_pb2.LossParameter.NONE
PRE_FIXED = caffe_pb2.LossParameter.PRE_FIXED


class LossLayer(Layer[P]):
    """A layer that computes one number from predictions and targets, with the default weight 1 in the loss.

    Bottom: predictions, (N, ...); targets, (N, ...). Top: the loss, (); the net adds it if the prototxt names
    none. The loss weight stands in the top's diff, and `backward` multiplies by it.
    Raises LayerError for bottoms of different N.

    Attributes:
        ignore_label: the label of predictions that do not count; None if all count.
        normalization: what the sum over predictions is divided by; see `normalizer`.

    Source: BVLC/caffe src/caffe/layers/loss_layer.cpp
    """

    exact_bottoms: ClassVar[int | None] = 2
    exact_tops: ClassVar[int | None] = 1
    also_reads: ClassVar[tuple[str, ...]] = ("loss_param",)
    auto_tops = True
    is_loss = True
    # Holds if loss_param does not say it.
    # Whether SegNet's weights of classes, and an ignore_label, count in the type; if not, they are refused.
    weighs_classes: ClassVar[bool] = False
    # The same of Intel's smooth labels.
    smooths_labels: ClassVar[bool] = False
    ignores_labels: ClassVar[bool] = True
    default_normalization: ClassVar[int] = VALID

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.layer_param.loss_param
        self.ignore_label: int | None = p.ignore_label if p.HasField("ignore_label") else None
        self.normalization: int = self.default_normalization
        if p.HasField("normalization"):
            self.normalization = p.normalization
        elif p.HasField("normalize"):
            self.normalization = VALID if p.normalize else BATCH_SIZE
        if p.weight_by_label_freqs and not self.weighs_classes:
            raise self.error(
                "has no weights of classes: loss_param.weight_by_label_freqs is for SoftmaxWithLoss"
            )
        if p.label_smoothing and not self.smooths_labels:
            raise self.error("has no smooth labels: loss_param.label_smoothing is for SoftmaxWithLoss")
        if p.HasField("ignore_label") and not self.ignores_labels:
            raise self.error("has no labels to ignore: leave out loss_param.ignore_label")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shapes = [blob.shape for blob in bottom[:2]]
        if shapes[0][:1] != shapes[1][:1]:
            raise self.error(f"needs bottoms of one batch size, got shapes {shapes[0]} and {shapes[1]}")
        top[0].reshape(())

    def normalizer(self, outer: int, inner: int, valid: int) -> float:
        """The number that the sum is divided by, at least 1.

        Args:
            outer: predictions along the axes before the classes: the batch size.
            inner: predictions along the axes after the classes.
            valid: how many of the outer * inner predictions are not ignored.

        Returns:
            With FULL, the number of predictions, outer * inner; with VALID, the number of those that are
            not ignored; with BATCH_SIZE, outer; with NONE, 1; with R-FCN's PRE_FIXED, the number that
            `pre_fixed_normalizer` gives.
        """
        return self.fixed_normalizer(outer, inner) or float(max(valid, 1))

    def fixed_normalizer(self, outer: int, inner: int) -> float:
        """As `normalizer`, if that does not depend on how many predictions are valid; 0 if it does."""
        fixed = self.layer_param.loss_param.pre_fixed_normalizer
        counts: dict[int, float] = {FULL: outer * inner, BATCH_SIZE: outer, NONE: 1, PRE_FIXED: fixed}
        return 0.0 if self.normalization == VALID else float(max(counts[self.normalization], 1))
