"""FlowWarp: a picture pulled back along a flow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels import sampling
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2

ZERO = caffe_pb2.FlowWarpParameter.ZERO


@register_layer("FlowWarp", param="flow_warp_param", origin="FlowNet")
class FlowWarpLayer(Layer[caffe_pb2.FlowWarpParameter]):
    """A picture read where a flow (u, v) points: y[n, c, h, w] = x[n, c] at row h + v and column w + u.

    Between pixels values are bilinear, and after the last row and column those repeat. What comes from
    outside of the picture is `fill_value`, and has no gradient.

    Bottom: x, (N, C, H, W); the flow, (N, 2, H, W): u, then v. Top: y, the shape of x.
    Raises LayerError for a flow of another shape, and in place.
    Source: lmb-freiburg/flownet2 src/caffe/layers/flow_warp_layer.cpp
    """

    exact_bottoms = 2
    exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, flow = bottom
        if len(x.shape) != 4 or flow.shape != (x.shape[0], 2, *x.shape[2:]):
            raise self.error(
                f"needs a picture, (N, C, H, W), and its flow, (N, 2, H, W), got {x.shape} and {flow.shape}"
            )
        top[0].reshape_like(x)

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        outside = 0.0 if self.param.fill_value == ZERO else math.nan
        sampling.warp(bottom[0].data, bottom[1].data, outside, top[0].data)

    @by_kernels
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            none = np.empty((0, 0, 0, 0), self.dtype)
            dx, dflow = (
                blob.diff if wanted else none for blob, wanted in zip(bottom, propagate_down, strict=True)
            )
            sampling.warp_backward(bottom[0].data, bottom[1].data, top[0].diff, dx, dflow)
