"""SmoothL1Loss in three forms, SmoothL1LossOHEM and L1Loss: distances that outliers do not dominate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs, P
from pycaffe_lite.layer.loss.loss import FULL, VALID, LossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


class DistanceLossLayer(LossLayer[P]):
    """The sum of a function l of differences d = a - b: loss = 1/Z Σ l(d); da = w/Z l'(d), db = -da.

    w is the loss weight.

    Bottom: a and b, (N, ...), equal shapes. Top: the loss, ().
    Raises LayerError for bottoms of unequal shapes, and for a gradient of anything but a and b.
    """

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index < 2

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        for blob in bottom[1:]:
            if blob.count != bottom[0].count:
                raise self.error(f"needs bottoms of one shape, got {bottom[0].shape} and {blob.shape}")
        if bottom[0].count == 0:
            raise self.error(f"cannot take the mean of no records, got bottom shape {bottom[0].shape}")

    def divisor(self, bottom: Blobs) -> float:
        """Z: the number of records."""
        return float(bottom[0].num)

    def errors(self, bottom: Blobs) -> Array:
        """d, of the shape of a."""
        d: Array = bottom[0].data - bottom[1].data.reshape(bottom[0].shape)
        return d

    def losses(self, d: Array, bottom: Blobs) -> Array:
        """l(d)."""
        raise NotImplementedError

    def slopes(self, d: Array, bottom: Blobs) -> Array:
        """l'(d), as it goes into the gradient."""
        raise NotImplementedError

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        losses = self.losses(self.errors(bottom), bottom)
        top[0].data[...] = losses.sum(dtype=np.float64) / self.divisor(bottom)
        if len(top) > 1:
            N = bottom[0].num
            top[1].data.reshape(N, -1)[...] = losses.reshape(N, bottom[0].channels, -1).sum(axis=1)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down[2:]):
            raise self.error("has no gradient to propagate down to weights")
        if any(propagate_down):
            slopes = self.slopes(self.errors(bottom), bottom)
            slopes *= slopes.dtype.type(float(top[0].diff[()]) / self.divisor(bottom))
        for i, sign in zip(range(2), (np.positive, np.negative), strict=True):
            if propagate_down[i]:
                sign(slopes.reshape(bottom[i].shape), out=bottom[i].diff)


def smooth_l1(d: Array, bend: float = 1.0) -> Array:
    """Half the squares below the bend, and a straight line beyond it: d² / 2 bend, |d| - bend / 2."""
    size = np.abs(d)
    losses: Array = np.where(size < bend, size * size / (2 * bend), size - bend / 2)
    return losses.astype(d.dtype, copy=False)


@register_layer("SmoothL1Loss", origin="SSD")
class SmoothL1LossLayer(DistanceLossLayer[Any]):
    """Smooth L1 loss: loss = 1/N Σ l(a - b), l(d) = d²/2 where |d| < 1 and |d| - 1/2 elsewhere.

    da = w/N clip(d, -1, 1), db = -da.
    Paper: Girshick, "Fast R-CNN", 2015 (arXiv 1504.08083).
    Source: weiliu89/caffe src/caffe/layers/smooth_L1_loss_layer.cpp
    """

    also_reads = ()

    def losses(self, d: Array, bottom: Blobs) -> Array:
        return smooth_l1(d)

    def slopes(self, d: Array, bottom: Blobs) -> Array:
        return d.clip(-1, 1)


def _is_fast_rcnns(layer: caffe_pb2.LayerParameter) -> bool:
    return len(layer.bottom) == 4 or layer.HasField("smooth_l1_loss_param")


@register_layer(
    "SmoothL1Loss", param="smooth_l1_loss_param", origin="Fast R-CNN and Faster R-CNN", applies=_is_fast_rcnns
)
class RegionSmoothL1LossLayer(DistanceLossLayer[caffe_pb2.SmoothL1LossParameter]):
    """Smooth L1 loss with weights: loss = 1/N Σ outside l(d), d = inside (a - b); bent at 1/sigma².

    l(d) = sigma² d²/2 where |d| < 1/sigma², |d| - 1/(2 sigma²) elsewhere; da = w/N outside inside l'(d).

    Bottom: a; b; optionally inside and outside weights; (N, ...), equal shapes. Top: the loss, (). Without a
    loss_weight in the net it counts nothing, unlike other losses.
    Raises LayerError for three bottoms.
    Source: rbgirshick/caffe-fast-rcnn src/caffe/layers/smooth_L1_loss_layer.cpp
    """

    exact_bottoms: ClassVar[int | None] = None
    min_bottoms, max_bottoms = 2, 4
    is_loss = False
    also_reads = ()

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if len(bottom) == 3:
            raise self.error("takes both inside and outside weights, or neither, got 3 bottoms")
        sigma = self.param.sigma
        if not 0 < sigma < math.inf:
            raise self.error(f"needs a finite sigma above 0, got {sigma:g}")
        self.bend = 1 / sigma**2

    def errors(self, bottom: Blobs) -> Array:
        d = super().errors(bottom)
        return d * bottom[2].data.reshape(d.shape) if len(bottom) > 2 else d

    def losses(self, d: Array, bottom: Blobs) -> Array:
        losses = smooth_l1(d, self.bend)
        return losses * bottom[3].data.reshape(d.shape) if len(bottom) > 3 else losses

    def slopes(self, d: Array, bottom: Blobs) -> Array:
        slopes: Array = (d / d.dtype.type(self.bend)).clip(-1, 1)
        for blob in bottom[2:]:
            slopes *= blob.data.reshape(d.shape)
        return slopes


def _is_rfcns(layer: caffe_pb2.LayerParameter) -> bool:
    return len(layer.bottom) == 3 or len(layer.top) == 2 or layer.HasField("loss_param")


@register_layer("SmoothL1Loss", origin="R-FCN", applies=_is_rfcns)
@register_layer("SmoothL1LossOHEM", origin="R-FCN")
class PlaceSmoothL1LossLayer(DistanceLossLayer[Any]):
    """Smooth L1 loss, also by place: loss = 1/Z Σ l(d), d = weight (a - b); da = w/Z clip(d, -1, 1).

    Z is N H W with FULL and VALID, N with BATCH_SIZE. The weights are not in da a second time, as in the
    fork: for weights of 0 and 1 that is the gradient.

    Bottom: a; b; optionally weights; (N, C, H, W), equal shapes. Top: the loss, (); optionally the sums of l
    over the channels, (N, 1, H, W), which have no gradient. Without a loss_weight in the net the loss counts
    nothing, unlike other losses.
    Source: daijifeng001/caffe-rfcn src/caffe/layers/smooth_L1_loss_layer.cpp; intel/caffe
    smooth_l1_loss_ohem_layer.cpp
    """

    exact_bottoms: ClassVar[int | None] = None
    min_bottoms, max_bottoms = 2, 3
    exact_tops: ClassVar[int | None] = None
    min_tops, max_tops = 1, 2
    is_loss = False
    ignores_labels = False

    def allow_top_gradient(self, top_index: int) -> bool:
        return top_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if self.normalization == VALID:
            self.normalization = FULL

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if len(top) > 1:
            top[1].reshape(bottom[0].num, 1, bottom[0].height, bottom[0].width)

    def divisor(self, bottom: Blobs) -> float:
        return self.fixed_normalizer(bottom[0].num, bottom[0].height * bottom[0].width)

    def errors(self, bottom: Blobs) -> Array:
        d = super().errors(bottom)
        return d * bottom[2].data.reshape(d.shape) if len(bottom) > 2 else d

    def losses(self, d: Array, bottom: Blobs) -> Array:
        return smooth_l1(d)

    def slopes(self, d: Array, bottom: Blobs) -> Array:
        return d.clip(-1, 1)


@register_layer("L1Loss", origin="NVIDIA's Caffe")
class L1LossLayer(DistanceLossLayer[Any]):
    """Mean absolute distance: loss = 1/N Σ |a - b|; da = w/N sign(a - b), db = -da.

    Source: NVIDIA/caffe src/caffe/layers/l1_loss_layer.cpp
    """

    also_reads = ()

    def losses(self, d: Array, bottom: Blobs) -> Array:
        return np.abs(d)

    def slopes(self, d: Array, bottom: Blobs) -> Array:
        return np.sign(d)
