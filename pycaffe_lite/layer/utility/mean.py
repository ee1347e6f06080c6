"""Mean: FlowNet's addition and subtraction of means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve

MeanParameter = caffe_pb2.MeanParameter


@register_layer("Mean", param="mean_param", origin="FlowNet")
class MeanLayer(Layer[MeanParameter]):
    """Means added or subtracted: y = output_scale (input_scale x ± mean_scale m).

    m is a `value` for each channel, around and around, or the numbers of a binaryproto `file`.

    Bottom: x, (N, C, H, W), one or more. Top: y, as many, of their shapes; may be the bottoms. Runs forward
    only, as in its fork.
    Raises LayerError for no operation, for neither or both of file and value, and for means that do not fit.
    Source: lmb-freiburg/flownet2 src/caffe/layers/mean_layer.cpp
    """

    min_bottoms = 1
    equal_bottoms_tops = True

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if not p.HasField("operation"):
            raise self.error("needs mean_param { operation: ADD or SUBTRACT }")
        if p.HasField("file") == bool(p.value):
            raise self.error("needs either a file of means or a value for each channel")
        self.mean = self._read() if p.HasField("file") else np.array(p.value).reshape(-1, 1, 1)

    def _read(self) -> Array:
        try:
            mean = binaryproto.read(resolve(self.param.file, self.context.folder))
        except (DataError, FileLookupError) as error:
            raise type(error)(str(self.error(f"its file: {error}"))) from None
        return mean.reshape((1, 1, 1, *mean.shape)[-3:]).astype(np.float64)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        channels, *size = self.mean.shape
        for x, y in zip(bottom, top, strict=True):
            fits = x.channels % channels == 0 and (size == [1, 1] or size == [x.height, x.width])
            if len(x.shape) > 4 or not fits:
                raise self.error(f"has means of shape {self.mean.shape}, which do not fit bottom {x.shape}")
            y.reshape_like(x)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        sign = -1 if p.operation == MeanParameter.SUBTRACT else 1
        for x, y in zip(bottom, top, strict=True):
            shape = (x.num, -1, len(self.mean), x.height, x.width)
            shifted = p.input_scale * x.data.reshape(shape) + sign * p.mean_scale * self.mean
            y.data[...] = (p.output_scale * shifted).reshape(x.shape)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")
