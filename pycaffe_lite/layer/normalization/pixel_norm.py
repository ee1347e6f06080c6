"""ChannelNorm and GRN: the length of each pixel's channels, and pixels divided by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pycaffe_lite.kernels import pixel_norm
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2

LEAST = 1e-9  # is added to a length by which a gradient is divided


@register_layer("ChannelNorm", origin="FlowNet")
class ChannelNormLayer(Layer[Any]):
    """The length of each pixel's channels: y = sqrt(Σ x²) over the channels; dx = dy x / (y + 1e-9).

    Bottom: x, (N, C, H, W), at most 4 axes. Top: y, (N, 1, H, W). Raises LayerError for a layer in place.
    Source: lmb-freiburg/flownet2 src/caffe/layers/channel_norm_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0]
        self.shape = (x.num, x.channels, x.height * x.width)
        top[0].reshape(x.num, 1, x.height, x.width)

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        pixel_norm.lengths(bottom[0].data.reshape(self.shape), 0.0, top[0].data.reshape(self.shape[0], -1))

    @by_kernels
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            y, dy = (array.reshape(self.shape[0], -1) for array in (top[0].data, top[0].diff))
            x, dx = (array.reshape(self.shape) for array in (bottom[0].data, bottom[0].diff))
            pixel_norm.lengths_backward(x, y, dy, LEAST, dx)


@register_layer("GRN", param="grn_param", origin="OpenVINO")
class GRNLayer(Layer[caffe_pb2.GRNParameter]):
    """Each pixel divided by the length of its channels: y = x / r, r = sqrt(bias + Σ x²) over the channels.

    dx = (dy - y (y·dy)) / r; with `dummy_backward`, dx = dy.

    Bottom: x, (N, C, H, W), at most 4 axes. Top: y, the shape of x. Raises LayerError for a bias below 0, and
    in place.
    Source: openvinotoolkit/training_toolbox_caffe caffe/src/caffe/layers/grn_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        if not self.param.bias >= 0:
            raise self.error(f"needs a bias of 0 or more, got {self.param.bias:g}")
        self.length = self.add_buffer()

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0]
        self.shape = (x.num, x.channels, x.height * x.width)
        self.length.reshape((x.num, x.height * x.width))
        top[0].reshape_like(x)

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].data.reshape(self.shape)
        pixel_norm.lengths(x, self.param.bias, self.length.data)
        pixel_norm.divide(x, self.length.data, top[0].data.reshape(self.shape))

    @by_kernels(when=lambda layer: not layer.param.dummy_backward)
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        if self.param.dummy_backward:
            np.copyto(bottom[0].diff, top[0].diff)
            return
        y, dy, dx = (array.reshape(self.shape) for array in (top[0].data, top[0].diff, bottom[0].diff))
        pixel_norm.divide_backward(y, dy, self.length.data, dx)
