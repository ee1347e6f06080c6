"""ShuffleChannel: the channels of a blob dealt out to groups."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("ShuffleChannel", param="shuffle_channel_param", origin="ShuffleNet")
class ShuffleChannelLayer(Layer[caffe_pb2.ShuffleChannelParameter]):
    """Channels of all groups in turn: y[n, j g + i] = x[n, i C/g + j] for group i of g; dx undoes that.

    Bottom: x, (N, C, ...). Top: y, the same shape.
    Raises LayerError where the number of groups is 0 or does not divide C, and in place.
    Source: farmingyard/ShuffleNet shuffle_channel_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape, groups = bottom[0].shape, self.param.group
        if len(shape) < 2 or groups == 0 or shape[1] % groups:
            raise self.error(f"needs channels that can be dealt out to {groups} groups, got shape {shape}")
        top[0].reshape(shape)
        self.grouped = (shape[0], groups, shape[1] // groups, bottom[0].count_axes(2))
        self.dealt = (shape[0], shape[1] // groups, groups, bottom[0].count_axes(2))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].data.reshape(self.dealt)[...] = bottom[0].data.reshape(self.grouped).swapaxes(1, 2)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            bottom[0].diff.reshape(self.grouped)[...] = top[0].diff.reshape(self.dealt).swapaxes(1, 2)
