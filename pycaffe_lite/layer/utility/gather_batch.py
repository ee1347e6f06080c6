"""Gather and Scatter of TSN: what several processes have, put together and parted again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


def _is_tsns(layer: caffe_pb2.LayerParameter) -> bool:
    return not layer.HasField("gather_param")


@register_layer("Gather", origin="TSN", applies=_is_tsns)
@register_layer("Scatter", origin="TSN")
class GatherBatchLayer(Layer[Any]):
    """The bottoms as they are, y = x and dx = dy: what one process has of them is all that there is.

    In TSN's fork these layers join and part the batches of processes that run one net together.

    Bottom: any number. Top: as many, of their shapes; may be the bottoms.
    Source: yjxiong/caffe src/caffe/layers/gather_layer.cpp and scatter_layer.cpp
    """

    min_bottoms = 1
    equal_bottoms_tops = True
    passes_values_on = True

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        for x, y in zip(bottom, top, strict=True):
            y.reshape_like(x)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for x, y in zip(bottom, top, strict=True):
            if y is not x:
                np.copyto(y.data, x.data)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        for x, y, wanted in zip(bottom, top, propagate_down, strict=True):
            if wanted and y is not x:
                np.copyto(x.diff, y.diff)
