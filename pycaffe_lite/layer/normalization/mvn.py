"""MVN: mean and variance normalisation of each plane or each image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.normalization.standardize import Standardizer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("MVN", param="mvn_param")
class MVNLayer(Layer[caffe_pb2.MVNParameter]):
    """Mean and variance normalisation: y = (x - μ) / (sqrt(v) + eps).

    μ and v are the mean and the biased variance of each plane (n, c), or with `across_channels` of each image
    n. dx = (dy - mean(dy) - mean(dy y) y) / (sqrt(v) + eps).
    With `normalize_variance: false`, y = x - μ and dx = dy - mean(dy).

    Bottom: x, (N, C, H, W), at most 4 axes. Top: y, always (N, C, H, W), with 1 for axes that x lacks; may be
    the same blob.
    Raises LayerError for more than 4 axes, and for statistics of no values.
    Source: BVLC/caffe src/caffe/layers/mvn_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.standardizer = Standardizer(self.add_buffer())

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0]
        N, C, H, W = x.num, x.channels, x.height, x.width
        if x.count == 0:
            raise self.error(f"cannot take the mean of no values, got bottom shape {x.shape}")
        top[0].reshape(N, C, H, W)
        self.shape = (1, N, C * H * W) if self.param.across_channels else (1, N * C, H * W)

    def _folded(self, array: Array) -> Array:
        return array.reshape(self.shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = self._folded(bottom[0].data), self._folded(top[0].data)
        mean, variance = self.standardizer.moments(x)
        scale = np.ones_like(mean)
        if self.param.normalize_variance:
            with np.errstate(divide="ignore"):  # a constant plane with eps 0 gives 0 / 0, NaN
                scale = 1 / (np.sqrt(variance) + self.param.eps)
        keep = top[0] is bottom[0] and self.need_backward and self.param.normalize_variance
        self.standardizer.forward(x, mean, scale, y, keep=keep)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        dy, dx = self._folded(top[0].diff), self._folded(bottom[0].diff)
        if self.param.normalize_variance:
            self.standardizer.backward(dy, dx)
        else:
            self.standardizer.backward_mean(dy, dx)
