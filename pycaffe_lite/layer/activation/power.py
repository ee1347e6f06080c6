"""Power: power of a scaled and shifted value."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import numpy as np

from pycaffe_lite.kernels import constant, power
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Power", param="power_param")
class PowerLayer(ElementwiseLayer[caffe_pb2.PowerParameter]):
    """Power: y = (shift + scale x)^power; dx = dy power scale (shift + scale x)^(power - 1).

    If power or scale is 0, y is the constant 1 or shift^power, and dx is 0. For powers other than 1 and 2 the
    gradient is computed from y, as dy power scale y / (shift + scale x); it is NaN where shift + scale x is
    0, as in Caffe.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob; a copy of x is kept then.
    Source: BVLC/caffe src/caffe/layers/power_layer.cpp
    """

    kernels: ModuleType = power
    keeps_input = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if self.param.power * self.param.scale == 0:
            self.kernels = constant
            self.keeps_input = False

    def numbers(self) -> Mapping[str, float]:
        p = self.param
        if self.kernels is constant:
            # Powers of NumPy numbers: 0 to a negative power is infinite, a negative base may give NaN.
            with np.errstate(all="ignore"):
                return {"value": float(np.float64(p.shift) ** p.power) if p.power else 1.0}
        return {"power": p.power, "scale": p.scale, "shift": p.shift, "power_scale": p.power * p.scale}
