"""Power: power of a scaled and shifted value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels import power
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Power", param="power_param")
class PowerLayer(NeuronLayer[caffe_pb2.PowerParameter]):
    """Power: y = (shift + scale x)^power; dx = dy power scale (shift + scale x)^(power - 1).

    If power or scale is 0, y is the constant 1 or shift^power, and dx is 0. For powers other than 1 and 2 the
    gradient is computed from y, as dy power scale y / (shift + scale x); it is NaN where shift + scale x is
    0, as in Caffe.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob; a copy of x is kept then.
    Source: BVLC/caffe src/caffe/layers/power_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        self.is_constant = p.power * p.scale == 0

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p, y = self.param, top[0].data
        if self.is_constant:
            # Powers of NumPy numbers: 0 to a negative power is infinite, a negative base may give NaN.
            with np.errstate(all="ignore"):
                y[...] = np.float64(p.shift) ** p.power if p.power else 1.0
            return
        self.keep_input(bottom, top)
        power.forward(bottom[0].data.ravel(), p.power, p.scale, p.shift, y.ravel())

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        p, y, dy, dx = self.param, top[0].data, top[0].diff, bottom[0].diff
        if self.is_constant:
            dx.fill(0)
        else:
            power.backward(
                self.seen_input(bottom, top).ravel(),
                y.ravel(),
                dy.ravel(),
                p.power,
                p.scale,
                p.shift,
                dx.ravel(),
            )
