"""Tile: repeats a blob along one axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Tile", param="tile_param")
class TileLayer(Layer[caffe_pb2.TileParameter]):
    """Repeats the bottom `tiles` times along `axis`; dx is the sum of dy over the tiles.

    Bottom: x, (n, c, h, w). Top: y, (n, tiles c, h, w) for axis 1.
    Raises LayerError for an axis that does not exist, for tiles that are not given or below 1, and in place.
    Source: BVLC/caffe src/caffe/layers/tile_layer.cpp
    """

    exact_bottoms = exact_tops = 1
    passes_values_on = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        if self.param.tiles < 1:
            raise self.error(f"needs tile_param {{ tiles: ... }} of 1 or more, got {self.param.tiles}")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        axis = bottom[0].canonical_axis(self.param.axis)
        top[0].reshape((*shape[:axis], shape[axis] * self.param.tiles, *shape[axis + 1 :]))
        self.outer, self.inner = bottom[0].count_axes(0, axis), bottom[0].count_axes(axis)

    def _tiles(self, array: Array) -> Array:
        return array.reshape(self.outer, self.param.tiles, self.inner)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self._tiles(top[0].data)[...] = bottom[0].data.reshape(self.outer, 1, self.inner)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            dx = bottom[0].diff.reshape(self.outer, self.inner)
            dx[...] = self._tiles(top[0].diff).sum(axis=1, dtype=np.float64)
