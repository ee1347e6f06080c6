"""Split: one blob for several readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pycaffe_lite.kernels import split
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes

MOST_ADDED = 16  # more gradients than these are added up in float64


@register_layer("Split")
class SplitLayer(Layer[Any]):
    """Copies of one blob: y_k = x for every top k; dx = Σ_k dy_k.

    The net inserts one wherever a blob has several readers.

    Bottom: x, any shape. Top: one or more, the shape of x. They share its data; each has a gradient of its
    own.
    Source: BVLC/caffe src/caffe/layers/split_layer.cpp
    """

    exact_bottoms = 1
    min_tops = 1
    passes_values_on = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.adds = 1 < len(top) <= MOST_ADDED

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        for blob in top:
            if blob is bottom[0]:
                raise self.error("cannot work in place")
            blob.reshape_like(bottom[0])
            blob.share_data(bottom[0])

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Computes nothing: the data is shared."""

    @by_kernels(when=lambda layer: layer.adds)
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        dx = bottom[0].diff
        if not self.adds:  # there is one copy, or there are so many that roundings would add up
            total = np.zeros(dx.shape)
            for blob in top:
                total += blob.diff
            dx[...] = total
            return
        split.add(top[0].diff.ravel(), top[1].diff.ravel(), dx.ravel())
        for blob in top[2:]:
            split.add(dx.ravel(), blob.diff.ravel(), dx.ravel())
