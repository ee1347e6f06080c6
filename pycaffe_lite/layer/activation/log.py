"""Log: logarithm to any base."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pycaffe_lite.kernels import log
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Log", param="log_param")
class LogLayer(ElementwiseLayer[caffe_pb2.LogParameter]):
    """Logarithm: y = ln(scale x + shift) / ln(base); dx = dy scale / (ln(base) (scale x + shift)).

    Base -1 stands for e. y is NaN where scale x + shift is negative.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob; a copy of x is kept then.
    Raises LayerError for a base that is not -1 and not a positive finite number other than 1.
    Source: BVLC/caffe src/caffe/layers/log_layer.cpp
    """

    kernels = log
    keeps_input = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        base = self.param.base
        if base != -1 and (not 0 < base < math.inf or base == 1):
            raise self.error(f"needs a base above 0 other than 1, or -1 for e, got {base:g}")
        self.outer = 1.0 if base == -1 else 1.0 / math.log(base)

    def numbers(self) -> Mapping[str, float]:
        p = self.param
        outer_scale = self.outer * p.scale
        return {"scale": p.scale, "shift": p.shift, "outer": self.outer, "outer_scale": outer_scale}
