"""PReLU: rectified linear unit with a learnt slope for negative values."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import prelu
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2

DEFAULT_FILLER = caffe_pb2.FillerParameter(type="constant", value=0.25)


@register_layer("PReLU", param="prelu_param")
class PReLULayer(NeuronLayer[caffe_pb2.PReLUParameter]):
    """Parametric rectified linear unit: y = max(0, x) + a min(0, x), with a slope a learnt for each channel.

    dx = dy for x > 0, else a dy; da = sum of dy x over the values x <= 0 of the channel.

    Bottom: x, (N, C, ...), of 2 axes or more. Top: y, the shape of x; may be the same blob, in which case a
    copy of x is kept for the gradient.
    Blobs: a, (C,), or with channel_shared a single value, (); filled with 0.25 unless `filler` is given.
    Raises LayerError for a bottom of fewer than 2 axes, or of another C than at setup.
    Paper: He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", 2015 (arXiv 1502.01852).
    Source: BVLC/caffe src/caffe/layers/prelu_layer.cpp
    """

    keeps_input = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._check_axes(bottom)
        p = self.param
        shape = () if p.channel_shared else (bottom[0].shape[1],)
        self.slope = self.add_blob(shape, p.filler if p.HasField("filler") else DEFAULT_FILLER)

    def _check_axes(self, bottom: Blobs) -> None:
        if len(bottom[0].shape) < 2:
            raise self.error(f"needs a bottom of at least 2 axes, got shape {bottom[0].shape}")

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._check_axes(bottom)
        if not self.param.channel_shared and bottom[0].shape[1] != self.slope.count:
            raise self.error(f"needs {self.slope.count} channels on axis 1, got shape {bottom[0].shape}")
        super().reshape(bottom, top)

    def _rows(self, array: Array) -> Array:
        """Views an array as (N, C, values of a channel); with one slope for all, C is 1."""
        N, C, *rest = array.shape
        inner = math.prod(rest)
        return array.reshape((N, 1, C * inner) if self.param.channel_shared else (N, C, inner))

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        kept = self.room_for_input(bottom)
        x, y = self._rows(bottom[0].data), self._rows(top[0].data)
        prelu.forward(x, self.slope.data.ravel(), y, None if kept is None else self._rows(kept))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        x, dy = self._rows(self.seen_input(bottom)), self._rows(top[0].diff)
        if self.param_propagate_down[0]:  # this comes first because in place dx overwrites dy
            prelu.backward_slope(x, dy, self.slope.diff.ravel())
        if propagate_down[0]:
            prelu.backward_data(x, dy, self.slope.data.ravel(), self._rows(bottom[0].diff))
