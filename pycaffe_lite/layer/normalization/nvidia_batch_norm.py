"""BatchNorm as NVIDIA's fork has it: with its affine part, and averages for its statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.normalization.bn import BNLayer
from pycaffe_lite.layer.normalization.standardize import Moments
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

LEAST_EPS = 1e-5
FOREIGN = ("update_global_stats", "use_weight_bias", "bias_term", "filler", "stats_batch_size", "relu")
ONE = caffe_pb2.FillerParameter(value=1)
ZERO = caffe_pb2.FillerParameter(value=0)
OVERWRITING = 2  # training passes in which the running statistics become the batch's


def is_nvidias(layer: caffe_pb2.LayerParameter) -> bool:
    """Whether a BatchNorm is of this form: its fields say so, and none is Intel's."""
    p = layer.batch_norm_param
    intels = any(p.HasField(name) for name in ("use_weight_bias", "bias_term", "filler"))
    return p.scale_bias or p.HasField("scale_filler") or (p.HasField("bias_filler") and not intels)


@register_layer("BatchNorm", param="batch_norm_param", origin="NVIDIA", applies=is_nvidias)
class NvidiaBatchNormLayer(BNLayer[caffe_pb2.BatchNormParameter]):
    """Batch normalisation that scales and shifts: y = a x̂ + b with x̂ = (x - μ) / sqrt(v + eps).

    eps is 1e-5 at least. In TRAIN, μ and v are the batch's; in TEST the running ones. `use_global_stats` has
    no effect. Each training pass moves the running statistics, with λ = moving_average_fraction: mean ← λ
    mean + (1 - λ) μ and variance ← λ variance + (1 - λ) (v + eps), with the biased v. The first two passes
    set them to μ and v + eps instead.

    Blobs: mean and variance, (C,); 1, (1,); a, (C,), by `scale_filler` or 1; b, (C,), by `bias_filler` or 0.
    The layer overwrites its `param`: the first three have lr_mult and decay_mult 0, a and b have 1.
    Raises LayerError for fields of other forks, and for fewer than 2 axes, another C than at setup, and batch
    statistics of no values.
    Source: NVIDIA/caffe src/caffe/layers/batch_norm_layer.cpp
    """

    divisor_blobs = (1, 2, 3)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        p = self.param
        for name in FOREIGN:
            if p.HasField(name):
                raise self.error(f"no fork has both NVIDIA's scale and bias and batch_norm_param.{name}")
        self.eps = max(p.eps, LEAST_EPS)
        self.running_mean, self.running_variance = self.add_blob((self.C,)), self.add_blob((self.C,))
        self.add_blob((1,), ONE)
        self.scale = self.add_blob((self.C,), p.scale_filler if p.HasField("scale_filler") else ONE)
        self.shift = self.add_blob((self.C,), p.bias_filler if p.HasField("bias_filler") else ZERO)
        self.passes = 0
        specs = self.layer_param.param
        for i in range(len(self.blobs)):
            spec = specs[i] if i < len(specs) else specs.add()
            spec.lr_mult = spec.decay_mult = 0 if i < 3 else 1

    def statistics(self, x: Array) -> tuple[Moments, Moments]:
        if self.phase == caffe_pb2.TEST:
            return self._numbers(self.running_mean, 0), self._numbers(self.running_variance, 0)
        mean, variance = self.batch_moments(x)
        keep = self.param.moving_average_fraction if self.passes >= OVERWRITING else 0.0
        for blob, new in ((self.running_mean, mean), (self.running_variance, variance + self.eps)):
            old = keep * blob.data if keep else np.zeros_like(blob.data)
            blob.data[...] = old + (1 - keep) * new
        self.passes += 1
        return mean, variance

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self.backward_through(top, propagate_down[0], bottom, fixed=self.phase == caffe_pb2.TEST)

    def state(self) -> bytes | None:
        """How many training passes there were, as text."""
        return b"%d" % self.passes

    def set_state(self, state: bytes) -> str:
        self.passes = int(state)
        return ""
