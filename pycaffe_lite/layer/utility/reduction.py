"""Reduction: sums, absolute sums, sums of squares and means over the last axes."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels import reduction
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

# MEAN is a sum with another factor.
KINDS = {
    caffe_pb2.ReductionParameter.SUM: reduction.SUM,
    caffe_pb2.ReductionParameter.ASUM: reduction.ABS_SUM,
    caffe_pb2.ReductionParameter.SUMSQ: reduction.SQUARE_SUM,
    caffe_pb2.ReductionParameter.MEAN: reduction.SUM,
}


@register_layer("Reduction", param="reduction_param")
class ReductionLayer(Layer[caffe_pb2.ReductionParameter]):
    """Reduces all values from `axis` on to one: coeff times their sum, absolute sum, sum of squares or mean.

    | operation | y                  | dx                   |
    | --------- | ------------------ | -------------------- |
    | SUM       | coeff Σ x          | coeff dy             |
    | ASUM      | coeff Σ abs(x)     | coeff dy sign(x)     |
    | SUMSQ     | coeff Σ x²         | 2 coeff dy x         |
    | MEAN      | coeff Σ x / K      | coeff dy / K         |

    Bottom: x, (n, c, h, w) read as (N, K), where N runs over the axes before `axis`. Top: y, of the axes
    before `axis`; for axis 0 a single number, ().
    Raises LayerError for an axis that does not exist, for a MEAN of no values, and in place.
    Source: BVLC/caffe src/caffe/layers/reduction_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        p, shape = self.param, bottom[0].shape
        axis = bottom[0].canonical_axis(p.axis)
        self.N, self.K = bottom[0].count_axes(0, axis), bottom[0].count_axes(axis)
        self.coeff = p.coeff
        if p.operation == caffe_pb2.ReductionParameter.MEAN:
            if self.K == 0:
                raise self.error(f"cannot take the mean of no values, got bottom shape {shape}")
            self.coeff = p.coeff / self.K
        top[0].reshape(shape[:axis])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = bottom[0].data.reshape(self.N, self.K), top[0].data.ravel()
        reduction.forward(x, KINDS[self.param.operation], self.coeff, y)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            x, dx = (array.reshape(self.N, self.K) for array in (bottom[0].data, bottom[0].diff))
            reduction.backward(x, top[0].diff.ravel(), KINDS[self.param.operation], self.coeff, dx)
