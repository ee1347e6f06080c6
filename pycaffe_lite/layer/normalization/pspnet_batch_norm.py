"""BatchNorm as PSPNet's fork has it: statistics that move although the stored ones are used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import channels
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.normalization.batch_norm import BatchNormLayer
from pycaffe_lite.layer.normalization.standardize import Moments
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


def _is_pspnets(layer: caffe_pb2.LayerParameter) -> bool:
    p = layer.batch_norm_param
    return p.update_global_stats and p.use_global_stats and layer.phase == caffe_pb2.TRAIN


@register_layer("BatchNorm", param="batch_norm_param", origin="PSPNet", applies=_is_pspnets)
class PSPNetBatchNormLayer(BatchNormLayer):
    """Batch normalisation about a stored mean: y = (x - μ) / sqrt(v + eps), dx = dy / sqrt(v + eps).

    That is BatchNorm in TRAIN with `use_global_stats` and `update_global_stats`; elsewhere the latter has no
    effect. μ is the stored mean, and v the mean of (x - μ)² over the batch, which is also what the stored
    variance takes in, times m / (m - 1) for m values: mean ← λ mean + μ, variance ← λ variance + v m / (m -
    1), factor ← λ factor + 1. So the average that the sums of the means stand for stays the same.

    Source: hszhao/PSPNet src/caffe/layers/batch_norm_layer.cpp
    """

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = self._folded(bottom[0].data)
        mean, _ = self._stored_statistics()
        variance = self._square_about(x, mean)
        count = x.shape[0] * x.shape[2]
        unbiased = variance * count / (count - 1) if count > 1 else variance
        fraction = self.param.moving_average_fraction
        for blob, value in ((self.mean, mean), (self.variance, unbiased), (self.factor, 1)):
            blob.data[...] = fraction * blob.data + value
        scale = 1 / np.sqrt(variance + self.param.eps)
        self.standardizer.forward(x, mean, scale, self._folded(top[0].data), keep=False)

    @staticmethod
    def _square_about(x: Array, mean: Moments) -> Moments:
        """The mean of (x - mean)² in each channel."""
        own, variance = np.empty_like(mean), np.empty_like(mean)
        channels.moments(x, own, variance)
        return variance + (own - mean) ** 2

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            dy, dx = self._folded(top[0].diff), self._folded(bottom[0].diff)
            self.standardizer.backward_fixed(dy, dx)

    def can_be_epilogue(self, top: Blobs) -> bool:
        return False
