"""BatchNorm as Intel's fork has it: with its affine part, parts of batches, and a rectifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import relu
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.normalization.bn import BNLayer
from pycaffe_lite.layer.normalization.nvidia_batch_norm import ONE, ZERO, is_nvidias
from pycaffe_lite.layer.normalization.standardize import Moments
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

AFFINE = ("use_weight_bias", "bias_term", "filler", "bias_filler")


def _is_affine(p: caffe_pb2.BatchNormParameter) -> bool:
    return p.use_weight_bias and any(p.HasField(name) for name in AFFINE)


def _is_intels(layer: caffe_pb2.LayerParameter) -> bool:
    p = layer.batch_norm_param
    return not is_nvidias(layer) and (_is_affine(p) or p.stats_batch_size > 0 or p.relu)


@register_layer("BatchNorm", param="batch_norm_param", origin="Intel", applies=_is_intels)
class IntelBatchNormLayer(BNLayer[caffe_pb2.BatchNormParameter]):
    """Batch normalisation that may scale and shift: y = a x̂ + b with x̂ = (x - μ) / sqrt(v + eps).

    Statistics are kept, and used, as Caffe's BatchNorm does. With `stats_batch_size` s, batches are
    normalised in parts of s images, each of which updates the statistics. With `relu`, y is max(0, a x̂ + b).

    The layer has a, and b unless `bias_term` is false, where one of the fields for them is written and
    `use_weight_bias` is not false: that is what the fork's MKL engines do. (If a Scale layer follows, the net
    leaves a and b to it, as the fork does with each of its engines.)

    Blobs: mean and variance, (C,), and factor, (1,), sums as in Caffe's; a, (C,), by `filler` or 1; b, (C,),
    by `bias_filler` or 0.
    Raises LayerError for PSPNet's update_global_stats, for an s that does not divide N, and for an lr_mult of
    the statistics other than 0.
    Source: intel/caffe src/caffe/layers/batch_norm_layer.cpp and mkldnn_batch_norm_layer.cpp
    """

    divisor_blobs = (1, 2, 3)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        p = self.param
        if p.update_global_stats:
            raise self.error("no fork has both Intel's fields and batch_norm_param.update_global_stats")
        self.eps = p.eps
        self.sums = [self.add_blob((self.C,)), self.add_blob((self.C,)), self.add_blob((1,))]
        if _is_affine(p):
            self.scale = self.add_blob((self.C,), p.filler if p.HasField("filler") else ONE)
            if p.bias_term:
                self.shift = self.add_blob((self.C,), p.bias_filler if p.HasField("bias_filler") else ZERO)
        specs = self.layer_param.param
        for i in range(len(self.sums)):
            if i == len(specs):
                specs.add().lr_mult = 0
            elif specs[i].lr_mult != 0:
                raise self.error(
                    f"needs lr_mult 0 for blob {i}: statistics are not learnt, got {specs[i].lr_mult:g}"
                )
        given = p.HasField("use_global_stats")
        self.use_global_stats = p.use_global_stats if given else self.phase == caffe_pb2.TEST
        self.part_size = 0 if self.use_global_stats else p.stats_batch_size
        self.before_unit = self.add_buffer()

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if self.part_size and self.shape[0] % self.part_size:
            raise self.error(
                f"needs a batch that stats_batch_size {self.part_size} divides, got bottom shape "
                f"{bottom[0].shape}"
            )

    def statistics(self, x: Array) -> tuple[Moments, Moments]:
        sums = [self._numbers(blob, 0) for blob in self.sums]
        if self.use_global_stats:
            factor = sums[2][0]
            averaging = 1 / factor if factor else 0.0
            return averaging * sums[0], averaging * sums[1]
        mean, variance = self.batch_moments(x)
        count = x.shape[0] * x.shape[2]
        unbiased = variance * count / (count - 1) if count > 1 else variance
        for blob, old, new in zip(self.sums, sums, (mean, unbiased, 1), strict=True):
            blob.data[...] = self.param.moving_average_fraction * old + new
        return mean, variance

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        super().forward(bottom, top)
        if self.param.relu:
            y = top[0].data.ravel()
            relu.forward(y, 0.0, y)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if self.param.relu:
            y, dy = top[0].data.ravel(), top[0].diff.ravel()
            self.before_unit.reshape_like(top[0])
            np.copyto(self.before_unit.data.ravel(), dy)
            relu.backward(y, dy, 0.0, dy)
        self.backward_through(top, propagate_down[0], bottom, fixed=self.use_global_stats)
        if self.param.relu and top[0] is not bottom[0]:
            np.copyto(top[0].diff, self.before_unit.data)
