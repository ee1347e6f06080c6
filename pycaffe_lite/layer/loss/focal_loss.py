"""FocalLoss, in two forms: a softmax loss that counts easy examples less."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import softmax, softmax_loss
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.labels import LabelReader, Labels
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)

LEAST = 1e-10  # of what the gradient is divided by


@register_layer("FocalLoss", param="focal_loss_param", origin="happynear's Caffe")
class FocalLossLayer(LossLayer[caffe_pb2.FocalLossParameter]):
    """Cross entropy of labels and softmax, scaled: loss = -1/Z Σ f(p) ln p, with p that of the label.

    f(p) = (alpha - p)^gamma, or with `type: ONEADDP` (alpha + p)^gamma; LINEAR is as ORIGIN, in the fork too.
    dx[c] = w/Z g(p) (p[c] - [c = label]) with g(p) = f(p) -+ gamma f(p) p ln p / (1 -+ p), which is the
    gradient for an alpha of 1.

    Bottom: x, the scores, (N, ..., C, ...) with the classes on softmax_param's axis; labels, as many as x has
    values per class. Top: the loss, (); optionally the softmax, of the shape of x. Z is as in
    SoftmaxWithLoss. Raises LayerError for a wrong number of labels, a label out of range, gamma below 0 and
    alpha not above 0.
    Paper: Lin et al., "Focal Loss for Dense Object Detection", 2017 (arXiv 1708.02002).
    Source: happynear/caffe-windows src/caffe/layers/focal_loss_layer.cpp
    """

    also_reads: ClassVar[tuple[str, ...]] = ("loss_param", "softmax_param")
    exact_tops = None
    min_tops, max_tops = 1, 2

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if self.param.gamma < 0 or not self.param.alpha > 0:
            got = f"{self.param.gamma:g} and {self.param.alpha:g}"
            raise self.error(f"needs gamma of 0 or more and alpha above 0, got {got}")
        self._note_alpha()
        self.labels = LabelReader(self, self.ignore_label)
        self.prob = self.add_buffer()
        self.sign = 1 if self.param.type == caffe_pb2.FocalLossParameter.ONEADDP else -1

    def _note_alpha(self) -> None:
        """Says what alpha is here, where it looks like that of the forks in which it is a factor."""
        if self.param.alpha < 1 and not self.param.HasField("type"):
            log.warning(
                "%s: focal_loss_param.alpha %g takes the place of the 1 in (1 - p)^gamma, as in happynear's "
                "fork; where it is meant as a factor of the loss, as in others, write an axis beside it",
                self.where(),
                self.param.alpha,
            )

    def classes_axis(self) -> int:
        return self.layer_param.softmax_param.axis

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        x, label = bottom
        axis = x.canonical_axis(self.classes_axis())
        self.folded = (x.count_axes(0, axis), x.shape[axis], x.count_axes(axis + 1))
        if label.count != self.folded[0] * self.folded[2]:
            raise self.error(
                f"needs {self.folded[0] * self.folded[2]} labels for scores of shape {x.shape} with the "
                f"classes on axis {axis}, got label shape {label.shape}"
            )
        self.prob.reshape_like(x)
        if len(top) == 2:
            top[1].reshape_like(x)
            top[1].share_data(self.prob)

    def _labels(self, bottom: Blobs) -> Labels:
        """The labels, -1 where ignored: (N, inner)."""
        N, classes, inner = self.folded
        return self.labels.read(bottom[1], classes).reshape(N, inner)

    def _scaled(self, p: Array, labels: Labels) -> tuple[Array, Array]:
        """Of each position the probability of its label, and f of it; (N, inner), in float64."""
        of_label = np.take_along_axis(p, np.maximum(labels, 0)[:, None], axis=1)[:, 0].astype(np.float64)
        with np.errstate(invalid="ignore"):  # a fraction as power of a number below 0: NaN, in the fork too
            return of_label, self._scale(of_label)

    def _scale(self, p: Array) -> Array:
        """f(p)."""
        scale: Array = (self.param.alpha + self.sign * p) ** self.param.gamma
        return scale

    def _divisor(self) -> float:
        N, _, inner = self.folded
        return self.normalizer(N, inner, self.labels.counted)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p, labels = self.prob.data.reshape(self.folded), self._labels(bottom)
        softmax.forward(bottom[0].data.reshape(self.folded), p)
        of_label, scale = self._scaled(p, labels)
        losses = -scale * np.log(np.maximum(of_label, softmax_loss.LEAST))
        top[0].data[...] = losses[labels >= 0].sum() / self._divisor()

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its labels")
        if not propagate_down[0]:
            return
        p, labels = self.prob.data.reshape(self.folded), self._labels(bottom)
        of_label, scale = self._scaled(p, labels)
        log = np.log(np.maximum(of_label, softmax_loss.LEAST))
        slope = scale + self.sign * self.param.gamma * scale * of_label * log / np.maximum(
            1 + self.sign * of_label, LEAST
        )  # fmt: skip
        slope = np.where(labels >= 0, slope * (float(top[0].diff[()]) / self._divisor()), 0)
        is_label = np.arange(self.folded[1])[:, None] == labels[:, None]
        bottom[0].diff.reshape(self.folded)[...] = slope[:, None] * (p - is_label)


def _has_a_factor(layer: caffe_pb2.LayerParameter) -> bool:
    return layer.focal_loss_param.HasField("axis")


@register_layer("FocalLoss", param="focal_loss_param", origin="jolibrain and others", applies=_has_a_factor)
class FactorFocalLossLayer(FocalLossLayer):
    """Cross entropy of labels and softmax, scaled: loss = -alpha/Z Σ (1 - p)^gamma ln p, p that of the label.

    alpha is 0.25 by default. The gradient is the true one. All else is as in happynear's, of which this form
    is told by an `axis` in focal_loss_param, that of the classes.

    Paper: Lin et al., "Focal Loss for Dense Object Detection", 2017 (arXiv 1708.02002).
    Source: jolibrain/caffe and zimenglan's focal_loss_layer.cpp, after troyliu0105/caffe
    src/caffe/layers/focal_loss_layer.cpp
    """

    also_reads: ClassVar[tuple[str, ...]] = ("loss_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if self.param.HasField("type"):
            raise self.error("has either an axis or a type: types are of happynear's fork, which has no axis")
        super().setup(bottom, top)
        self.alpha = factor_of(self.param)

    def _note_alpha(self) -> None:
        pass

    def classes_axis(self) -> int:
        return self.param.axis

    def _scale(self, p: Array) -> Array:
        return self.alpha * np.maximum(1 - p, 0) ** self.param.gamma


def factor_of(param: caffe_pb2.FocalLossParameter) -> float:
    """The alpha that is a factor: 0.25 unless it is given."""
    return param.alpha if param.HasField("alpha") else 0.25
