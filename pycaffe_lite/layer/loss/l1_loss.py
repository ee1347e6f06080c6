"""L1Loss and LpqLoss of FlowNet: distances position by position, in which NaN do not count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs, P
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


class FlowLossLayer(LossLayer[P]):
    """The sum of a function of d = a - b over all positions, divided by Z; values that are NaN count 0.

    Z is the number of images, or with `normalize_by_num_entries` that of numbers that are not NaN, divided by
    that of channels.

    Bottom: a, (N, C, H, W), at most 4 axes; optionally b, of the same shape. Top: the loss, ().
    Raises LayerError for bottoms of different shapes and no values at all.
    """

    exact_bottoms: ClassVar[int | None] = None
    min_bottoms, max_bottoms = 1, 2
    also_reads = ()

    def allow_force_backward(self, bottom_index: int) -> bool:
        return True

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        a, b = bottom[0], bottom[-1]
        if a.shape != b.shape:
            raise self.error(f"needs bottoms of one shape, got {a.shape} and {b.shape}")
        if a.count == 0:
            raise self.error(f"cannot take the mean of no records, got bottom shape {a.shape}")
        self.folded = (a.num, a.channels, a.height * a.width)
        top[0].reshape(())

    def differences(self, bottom: Blobs) -> Array:
        """d, (N, C, positions), in float64, 0 where it is NaN; keeps which are not, and Z."""
        d = bottom[0].data.astype(np.float64)
        if len(bottom) > 1:
            d -= bottom[1].data
        d = d.reshape(self.folded)
        self.counts = ~np.isnan(d)
        self.divisor = float(self.folded[0])
        if self.param.normalize_by_num_entries:  # type: ignore[attr-defined]
            self.divisor = self.counts.sum() / self.folded[1]
        return np.where(self.counts, d, 0.0)

    def compute(self, d: Array) -> tuple[Array, Array]:
        """What the positions of d add to the loss, and the gradient by d, in its shape."""
        raise NotImplementedError

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with np.errstate(divide="ignore", invalid="ignore"):  # where nothing counts: NaN, in the fork too
            losses, self.slopes = self.compute(self.differences(bottom))
            top[0].data[...] = np.float64(losses.sum()) / self.divisor

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not any(propagate_down):
            return
        with np.errstate(divide="ignore", invalid="ignore"):
            d = self.slopes * (float(top[0].diff[()]) / np.float64(self.divisor))
        d = np.where(self.counts, d, 0.0)
        for i, sign in zip(range(len(bottom)), (1, -1), strict=False):
            if propagate_down[i]:
                bottom[i].diff[...] = (sign * d).reshape(bottom[i].shape)


def _is_flownets(layer: caffe_pb2.LayerParameter) -> bool:
    return layer.HasField("l1_loss_param") or len(layer.bottom) == 1


@register_layer("L1Loss", param="l1_loss_param", origin="FlowNet", applies=_is_flownets)
class FlowL1LossLayer(FlowLossLayer[caffe_pb2.L1LossParameter]):
    """Absolute distances that leave NaN out: loss = 1/Z Σ |d|, d = a - b; da = ±w/Z, with - at d = 0.

    With `l2_per_location` the sum is one of lengths, Σ sqrt(epsilon + s), with s the sum of d² over the
    channels, or with `l2_prescale_by_channels` their mean. d below `plateau` in size, or s below its square,
    count as 0. Z is the number of images, or with `normalize_by_num_entries` that of numbers that are not NaN
    over that of channels.

    Bottom: a, (N, C, H, W), at most 4 axes; optionally b, of the same shape. Top: the loss, ().
    Raises LayerError for bottoms of different shapes and no values at all.
    Source: lmb-freiburg/flownet2 src/caffe/layers/l1loss_layer.cpp and .cu
    """

    def compute(self, d: Array) -> tuple[Array, Array]:
        p = self.param
        if not p.l2_per_location:
            if p.plateau > 0:
                self.counts &= np.abs(d) >= p.plateau
            return np.where(self.counts, np.abs(d), 0.0), np.where(d > 0, 1.0, -1.0)
        weight = 1 / self.folded[1] if p.l2_prescale_by_channels else 1.0
        squares = weight * np.square(d).sum(axis=1, keepdims=True)
        far = squares >= p.plateau**2 if p.plateau > 0 else np.ones(squares.shape, bool)
        lengths = np.sqrt(np.where(far, squares, 0.0) + p.epsilon)
        return lengths, np.where(far, weight * d / lengths, 0.0)


@register_layer("LpqLoss", param="lpq_loss_param", origin="FlowNet")
class LpqLossLayer(FlowLossLayer[caffe_pb2.LpqLossParameter]):
    """Powers of differences and of their sums: loss = 1/Z Σ (q_epsilon + Σ_c (p_epsilon + |d|)^p)^q.

    The inner sum runs over the channels of a position; with `l2_prescale_by_channels` it is their mean. Z is
    the number of images, or with `normalize_by_num_entries` that of numbers that are not NaN over that of
    channels; these count 0. The slope at d = 0 is that from below.

    Bottom: a, (N, C, H, W), at most 4 axes; optionally b, of the same shape. Top: the loss, ().
    Raises LayerError for anything but one p and one q: those that change with the iteration are not
    supported.
    Source: lmb-freiburg/flownet2 src/caffe/layers/lpq_loss_layer.cpp and .cu
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        p = self.param
        if len(p.p) != 1 or len(p.q) != 1 or list(p.pq_episode_starts_at_iter) not in ([], [0]):
            raise self.error(
                "needs one p and one q: those that change with pq_episode_starts_at_iter are not supported"
            )

    def compute(self, d: Array) -> tuple[Array, Array]:
        p = self.param
        weight = 1 / self.folded[1] if p.l2_prescale_by_channels else 1.0
        sizes = np.abs(d) + p.p_epsilon
        sums = weight * np.power(sizes, p.p[0]).sum(axis=1, keepdims=True) + p.q_epsilon
        outer = p.q[0] * np.power(sums, p.q[0] - 1)
        slopes = outer * weight * p.p[0] * np.power(sizes, p.p[0] - 1) * np.where(d > 0, 1.0, -1.0)
        return np.power(sums, p.q[0]), slopes
