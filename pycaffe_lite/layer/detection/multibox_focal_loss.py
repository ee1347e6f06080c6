"""MultiBoxFocalLoss: MultiBoxLoss that counts easy boxes less."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.detection.multibox_loss import LEAST_PROBABILITY, MultiBoxLossLayer
from pycaffe_lite.layer.loss.focal_loss import factor_of
from pycaffe_lite.layer.registry import register_layer


@register_layer("MultiBoxFocalLoss", param="multibox_loss_param", origin="SSD with focal loss")
class MultiBoxFocalLossLayer(MultiBoxLossLayer):
    """Errors of offsets and classes, as MultiBoxLoss, with -alpha (1 - p)^gamma ln p as that of a class.

    alpha is 0.25 and gamma 2 unless `focal_loss_param` gives others. They count with `conf_loss_type:
    SOFTMAX` only, and not for which boxes are the hardest.

    Raises LayerError as MultiBoxLoss, for gamma below 0, alpha not above 0, and happynear's `type`.
    Paper: Lin et al., "Focal Loss for Dense Object Detection", 2017 (arXiv 1708.02002).
    Source: troyliu0105/caffe src/caffe/layers/multibox_focal_loss_layer.cpp and focal_loss_layer.cpp
    """

    also_reads = ("loss_param", "focal_loss_param")

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        p = self.layer_param.focal_loss_param
        self.alpha, self.gamma = factor_of(p), p.gamma
        if not self.gamma >= 0 or not self.alpha > 0:
            raise self.error(
                f"needs gamma of 0 or more and alpha above 0, got {self.gamma:g} and {self.alpha:g}"
            )
        if p.HasField("type") or p.axis != 1:
            raise self.error("takes no type, and no axis but 1, in focal_loss_param")

    def _softmax_loss(self, p: Array, targets: npt.NDArray[np.bool_]) -> float:
        of_label = p[targets]
        log = np.log(np.maximum(of_label, LEAST_PROBABILITY))
        rest = np.maximum(1 - of_label, 0)
        scale = self.alpha * rest**self.gamma
        with np.errstate(divide="ignore", invalid="ignore"):
            easier = np.where(rest > 0, self.gamma * scale / rest, 0) if self.gamma else 0
        self.conf_gradient = (scale - easier * of_label * log)[:, None] * (p - targets)
        return float(-(scale * log).sum())
