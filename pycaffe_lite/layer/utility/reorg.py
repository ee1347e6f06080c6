"""Reorg: planes exchanged for channels, in darknet's order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


def darknets_order(channels: int, height: int, width: int, stride: int) -> Array:
    """The index in a larger image of each value of a smaller one, both flat: (channels * height * width,).

    Channel k, row j and column i of the one image lie at row j s + (k / c) / s and column i s + (k / c) % s
    of the other's channel k % c, for stride s and c = channels / s².

    Source: eric612/MobileNet-YOLO src/caffe/layers/reorg_layer.cpp, which is darknet's reorg_cpu
    """
    fewer = channels // stride**2
    k, j, i = np.ogrid[:channels, :height, :width]
    row = j * stride + k // fewer // stride
    column = i * stride + k // fewer % stride
    places: Array = column + width * stride * (row + height * stride * (k % fewer))
    return places.ravel()


@register_layer("Reorg", param="reorg_param", origin="MobileNet-YOLO")
class ReorgLayer(Layer[caffe_pb2.ReorgParameter]):
    """Blocks of stride x stride values turned into channels, or with `reverse` channels into blocks.

    The order is darknet's, which takes the bottom for an image of other sizes: not that of space-to-depth.
    dx is dy put back. (The forks' own backward passes give no gradient at all.)

    Bottom: x, (N, C, H, W). Top: y, (N, C s², H / s, W / s), or with `reverse` (N, C / s², H s, W s).
    Raises LayerError for a stride that is not given, or that does not divide the sizes, and in place.
    Source: eric612/MobileNet-YOLO src/caffe/layers/reorg_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        if self.param.stride < 1:
            raise self.error("needs reorg_param { stride: ... } of 1 or more")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, s = bottom[0], self.param.stride
        N, C, H, W = x.num, x.channels, x.height, x.width
        if s * s > C or C % (s * s) or (not self.param.reverse and (H % s or W % s)):
            sizes = "" if self.param.reverse else f" and a height and a width divisible by {s}"
            raise self.error(f"needs channels divisible by {s * s}{sizes}, got bottom shape {x.shape}")
        top[0].reshape((N, C // s**2, H * s, W * s) if self.param.reverse else (N, C * s**2, H // s, W // s))
        self.images = (N, C * H * W)
        self.places = darknets_order(C, H, W, s)

    def _spread(self, source: Array, target: Array) -> None:
        """Moves values from their order to the places."""
        target.reshape(self.images)[:, self.places] = source.reshape(self.images)

    def _collect(self, source: Array, target: Array) -> None:
        """Moves values from the places to their order."""
        target.reshape(self.images)[...] = source.reshape(self.images)[:, self.places]

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        move = self._spread if self.param.reverse else self._collect
        move(bottom[0].data, top[0].data)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            move = self._collect if self.param.reverse else self._spread
            move(top[0].diff, bottom[0].diff)
