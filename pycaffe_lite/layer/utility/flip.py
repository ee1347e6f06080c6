"""Flip and Reverse: a blob read from the other end of some of its axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.layer.base import Blobs, Layer, P
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


class FlippingLayer(Layer[P]):
    """Values from the other end of some axes: y[..., i, ...] = x[..., n - 1 - i, ...]; dx likewise from dy.

    Bottom: x. Top: y, the same shape.
    Raises LayerError for an axis that there is not, and in place.
    """

    exact_bottoms = exact_tops = 1

    def flipped_axes(self, bottom: Blobs) -> tuple[int, ...]:
        """The axes that are read from the other end."""
        raise NotImplementedError

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.axes = self.flipped_axes(bottom)
        top[0].reshape_like(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].data[...] = np.flip(bottom[0].data, self.axes)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            bottom[0].diff[...] = np.flip(top[0].diff, self.axes)


@register_layer("Flip", param="flip_param", origin="happynear's Caffe")
class FlipLayer(FlippingLayer[caffe_pb2.FlipParameter]):
    """Images of 4 axes mirrored left to right, upside down, or both.

    Source: happynear/caffe-windows src/caffe/layers/flip_layer.cpp
    """

    def flipped_axes(self, bottom: Blobs) -> tuple[int, ...]:
        if len(bottom[0].shape) != 4:
            raise self.error(f"needs a bottom of 4 axes, got shape {bottom[0].shape}")
        return (2,) * self.param.flip_height + (3,) * self.param.flip_width


@register_layer("Reverse", param="reverse_param", origin="warp-ctc")
class ReverseLayer(FlippingLayer[caffe_pb2.ReverseParameter]):
    """One axis, by default the first, say the time of a sequence, from its end to its start.

    Source: xmfbit/warpctc-caffe src/caffe/layers/reverse_layer.cpp
    """

    def flipped_axes(self, bottom: Blobs) -> tuple[int, ...]:
        return tuple(bottom[0].canonical_axis(axis) for axis in self.param.axis or [0])
