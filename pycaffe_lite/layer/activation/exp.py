"""Exp: exponential to any base."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from pycaffe_lite.kernels import exp
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Exp", param="exp_param")
class ExpLayer(ElementwiseLayer[caffe_pb2.ExpParameter]):
    """Exponential: y = base^(scale x + shift); dx = dy y ln(base) scale. Base -1 stands for e.

    Computed as y = outer e^(inner x) with inner = ln(base) scale and outer = base^shift.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Raises LayerError for a base that is not -1 and not a positive finite number.
    Source: BVLC/caffe src/caffe/layers/exp_layer.cpp
    """

    kernels = exp

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if p.base != -1 and not 0 < p.base < math.inf:
            raise self.error(f"needs a base above 0, or -1 for e, got {p.base:g}")
        log_base = 1.0 if p.base == -1 else math.log(p.base)
        self.inner = log_base * p.scale
        with np.errstate(over="ignore"):
            self.outer = float(np.exp(log_base * p.shift))

    def numbers(self) -> Mapping[str, float]:
        return {"inner": self.inner, "outer": self.outer}
