"""BN: batch normalisation with its affine part, as SegNet and PSPNet have it; the base of such layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import channels
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs, P
from pycaffe_lite.layer.normalization.standardize import Moments
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

BNParameter = caffe_pb2.BNParameter


class BNLayer(NeuronLayer[P]):
    """Values standardised by channel, scaled and shifted: y = a x̂ + b with x̂ = (x - μ) / sqrt(v + eps).

    da += Σ dy x̂ and db += Σ dy. Where μ and v are the batch's, dx = a (dy - mean(dy) - x̂ mean(dy x̂)) /
    sqrt(v + eps); where they are fixed, dx = a dy / sqrt(v + eps).

    Bottom: x, (N, C, ...). Top: y, the shape of x; may be the same blob.
    Raises LayerError for fewer than 2 axes, another C than at setup, and batch statistics of no values.

    Attributes:
        eps: what is added to variances.
        scale, shift: the blobs a and b; None for a layer without: a is 1 then, and b is 0.
        part_size: how many images are standardised together; 0 for all of a batch.
    """

    exact_tops: ClassVar[int | None] = 1  # type: ignore[assignment]
    adds_to_diffs: ClassVar[bool] = True
    takes_blobs_of_any_shape = True  # (C,), (1, C) and (1, C, 1, 1) are all found in files
    eps: float
    scale: Blob | None = None
    shift: Blob | None = None
    part_size = 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) < 2:
            raise self.error(f"needs a bottom of at least 2 axes, got bottom shape {shape}")
        self.C = shape[1]
        self.copy = self.add_buffer()

    def _add_vector(self, filler: caffe_pb2.FillerParameter) -> Blob:
        """Makes a learnable blob with a number for each channel."""
        return self.add_blob((1, self.C, 1, 1), filler)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        shape = bottom[0].shape
        if shape[1:2] != (self.C,):
            raise self.error(f"needs {self.C} channels on axis 1, got bottom shape {shape}")
        if bottom[0].count == 0:
            raise self.error(f"cannot take the mean of no values, got bottom shape {shape}")
        self.shape = shape[0], self.C, bottom[0].count_axes(2)

    def statistics(self, x: Array) -> tuple[Moments, Moments]:
        """The μ and v of each channel, (C,) each, that x, (N, C, inner), is standardised by."""
        raise NotImplementedError

    def batch_moments(self, x: Array) -> tuple[Moments, Moments]:
        """The mean and the biased variance of each channel of x."""
        mean, variance = np.empty(self.C), np.empty(self.C)
        channels.moments(x, mean, variance)
        return mean, variance

    def _parts(self) -> list[slice]:
        """The images that are standardised together, of each part of the batch."""
        size = self.part_size or self.shape[0]
        return [slice(start, start + size) for start in range(0, self.shape[0], size)]

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = bottom[0].data.reshape(self.shape), top[0].data.reshape(self.shape)
        if top[0] is bottom[0] and self.need_backward:
            self.copy.reshape(self.shape)
            np.copyto(self.copy.data, x)
        self.mean: list[Moments] = []  # of each part
        self.inverse: list[Moments] = []  # 1 / sqrt(v + eps)
        for part in self._parts():
            self._forward_part(x[part], y[part])

    def _forward_part(self, x: Array, y: Array) -> None:
        mean, variance = self.statistics(x)
        near = mean.astype(x.dtype)  # and what the type cannot hold of the mean goes into the shift
        # Variances below -eps, and means that are infinite, give NaN.
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1 / np.sqrt(variance + self.eps)
            scale = inverse * self._numbers(self.scale, 1)
            shift = self._numbers(self.shift, 0) - (mean - near) * scale
        channels.affine(x, near, scale.astype(x.dtype), shift.astype(x.dtype), y)
        self.mean.append(mean)
        self.inverse.append(inverse)

    def _numbers(self, blob: Blob | None, without: float) -> Moments:
        """A blob's numbers, one for each channel; or `without`, where there is no blob."""
        return np.full(self.C, without) if blob is None else blob.data.ravel().astype(np.float64)

    @np.errstate(invalid="ignore")
    def backward_through(
        self, top: Blobs, wanted: bool, bottom: Blobs, *, fixed: bool, learns: bool = True
    ) -> None:
        """The backward pass; fixed: whether μ and v did not depend on x; learns: whether a and b do."""
        x = (self.copy if top[0] is bottom[0] else bottom[0]).data.reshape(self.shape)
        dy, dx = top[0].diff.reshape(self.shape), bottom[0].diff.reshape(self.shape)
        for i, part in enumerate(self._parts()):
            self._backward_part(i, x[part], dy[part], dx[part] if wanted else None, fixed, learns)

    def _backward_part(
        self, part: int, x: Array, dy: Array, dx: Array | None, fixed: bool, learns: bool
    ) -> None:
        mean, inverse = self.mean[part], self.inverse[part]
        sum_dy, sum_dy_x = np.empty(self.C), np.empty(self.C)
        channels.sums(dy, x, sum_dy, sum_dy_x)
        da = (sum_dy_x - mean * sum_dy) * inverse
        for blob, gradient in ((self.scale, da), (self.shift, sum_dy)):
            if blob is not None and learns and self._is_learnt(blob):
                diff = blob.diff.ravel()
                diff[...] = gradient + diff * self.adds_to_diffs
        if dx is None:
            return
        scale, near = inverse * self._numbers(self.scale, 1), mean.astype(x.dtype)
        count = x.shape[0] * x.shape[2]
        of_x = np.zeros_like(scale) if fixed else -scale * inverse * da / count
        shift = np.zeros_like(scale) if fixed else -scale * sum_dy / count - of_x * (mean - near)
        p, q, r = (vector.astype(x.dtype) for vector in (scale, of_x, shift))
        channels.blend(dy, p, x, near, q, r, dx)

    def _is_learnt(self, blob: Blob) -> bool:
        """Whether a learnable blob's gradient is wanted."""
        return self.param_propagate_down[[mine is blob for mine in self.blobs].index(True)]


def _is_segnets(layer: caffe_pb2.LayerParameter) -> bool:
    p = layer.bn_param
    named = any(p.HasField(name) for name in ("bn_mode", "scale_filler", "shift_filler"))
    return named or len(layer.blobs) == 2


@register_layer("BN", param="bn_param", origin="SegNet", applies=_is_segnets)
class SegNetBNLayer(BNLayer[BNParameter]):
    """Batch normalisation without running statistics: μ and v are the batch's in TRAIN and in TEST.

    With `bn_mode: INFERENCE` there are none, y = a x + b: a script has worked them into a and b.

    Top: beside y, μ and v, (1, C, 1, 1) each, if the net asks for them; they have no gradient.
    Blobs: a and b, (1, C, 1, 1), by `scale_filler` and `shift_filler`. In the fork their gradients overwrite
    those that are there, so that `iter_size` counts the last pass alone; here they are added, as everywhere.
    Source: alexgkendall/caffe-segnet src/caffe/layers/bn_layer.cpp
    """

    exact_tops = None
    min_tops, max_tops = 1, 3
    adds_to_diffs = False

    def allow_top_gradient(self, top_index: int) -> bool:
        return top_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self.eps = 1e-9
        self.scale = self._add_vector(self.param.scale_filler)
        self.shift = self._add_vector(self.param.shift_filler)
        self.is_fixed = self.param.bn_mode == BNParameter.INFERENCE

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        for blob in top[1:]:
            blob.reshape(1, self.C, 1, 1)

    def statistics(self, x: Array) -> tuple[Moments, Moments]:
        if self.is_fixed:
            return np.zeros(self.C), np.full(self.C, 1 - self.eps)
        return self.batch_moments(x)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        super().forward(bottom, top)
        for blob, values in zip(top[1:], (self.mean[0], 1 / self.inverse[0] ** 2 - self.eps), strict=False):
            blob.data.ravel()[...] = values

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self.backward_through(top, propagate_down[0], bottom, fixed=self.is_fixed)


@register_layer("BN", param="bn_param", origin="PSPNet and TSN")
class RunningBNLayer(BNLayer[BNParameter]):
    """Batch normalisation with running statistics, which are averages and not BatchNorm's sums.

    In TRAIN, unless `frozen`, μ and v are the batch's, and the running ones move: m ← momentum m +
    (1 - momentum) μ, and likewise for v. In TEST and with `frozen` the running ones are used. The
    backward pass takes μ and v for the batch's, in TEST too, unless the layer is frozen: then neither a nor b
    has a gradient.

    Blobs: a, by `slope_filler`; b, by `bias_filler`; running mean; running variance (1 at first where
    frozen), (1, C, 1, 1) each. No solver updates the last two, nor a and b of a frozen layer.
    Source: hszhao/PSPNet src/caffe/layers/bn_layer.cpp, yjxiong/caffe src/caffe/layers/bn_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        p = self.param
        self.eps = p.eps
        self.scale = self._add_vector(p.slope_filler)
        self.shift = self._add_vector(p.bias_filler)
        self._add_vector(caffe_pb2.FillerParameter())
        self._add_vector(caffe_pb2.FillerParameter(value=1 if p.frozen else 0))
        specs = self.layer_param.param
        while len(specs) < len(self.blobs):
            specs.add()
        for spec in specs[0 if p.frozen else 2 :]:
            spec.lr_mult = spec.decay_mult = 0

    def statistics(self, x: Array) -> tuple[Moments, Moments]:
        if self.param.frozen or self.phase == caffe_pb2.TEST:
            mean, variance = (self._numbers(blob, 0) for blob in self.blobs[2:])
            return mean, variance
        moments = self.batch_moments(x)
        momentum = self.param.momentum
        for blob, values in zip(self.blobs[2:], moments, strict=True):
            blob.data.ravel()[...] = momentum * blob.data.ravel() + (1 - momentum) * values
        return moments

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        frozen = self.param.frozen
        self.backward_through(top, propagate_down[0], bottom, fixed=frozen, learns=not frozen)
