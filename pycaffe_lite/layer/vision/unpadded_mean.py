"""Pooling with Intel's `avg_include_pad: false`: means that leave padding out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels import eltwise
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.layer.vision.pooling import PoolingLayer
from pycaffe_lite.proto import caffe_pb2


def _leaves_padding_out(layer: caffe_pb2.LayerParameter) -> bool:
    p = layer.pooling_param
    return p.pool == p.AVE and not p.avg_include_pad


@register_layer("Pooling", param="pooling_param", origin="Intel", applies=_leaves_padding_out)
class UnpaddedMeanLayer(PoolingLayer):
    """Means of windows, of the values that they hold: y = Σ x / count; dx = dy / count.

    All else is as in Caffe's Pooling with `pool: AVE`, which divides by an area that counts padding, too.

    Source: intel/caffe src/caffe/layers/mkldnn_pooling_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self.ratio = self.add_buffer()  # of Caffe's area to the number of values, for each output
        self.scaled = self.add_buffer()  # the top's gradient times that

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        _, _, H, W = bottom[0].shape
        _, _, P, Q = top[0].shape
        rows = self._ratios(P, H, self.kernel[0], self.pad[0], self.stride[0])
        columns = self._ratios(Q, W, self.kernel[1], self.pad[1], self.stride[1])
        self.ratio.reshape_like(top[0])
        self.ratio.data[...] = np.outer(rows, columns)
        self.scaled.reshape_like(top[0])

    @staticmethod
    def _ratios(outputs: int, size: int, kernel: int, pad: int, stride: int) -> list[float]:
        """Along one axis: how many places Caffe's area counts over how many values the window holds."""
        ratios = []
        for start in (p * stride - pad for p in range(outputs)):
            counted = min(start + kernel, size + pad) - start
            held = min(start + kernel, size) - max(start, 0)
            ratios.append(counted / held if held > 0 else 1.0)
        return ratios

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        super().forward(bottom, top)
        y = top[0].data.ravel()
        eltwise.product(y, self.ratio.data.ravel(), y)

    @by_kernels
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            eltwise.product(top[0].diff.ravel(), self.ratio.data.ravel(), self.scaled.data.ravel())
            self._mean_backward(self.scaled.data, bottom[0].diff)

    def takes_slope_back(self) -> bool:
        return False
