"""Axpy: a blob scaled channel by channel, plus another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer


@register_layer("Axpy", origin="SENet")
class AxpyLayer(Layer[None]):
    """z = a x + y with one a per image and channel; da = sum of dz x over space, dx = a dz, dy = dz.

    Bottom: a, (N, C) or (N, C, 1, 1); x and y, (N, C, ...). Top: z, the shape of x.
    Raises LayerError for shapes that do not fit, and in place.
    Source: hujie-frank/SENet src/caffe/layers/axpy_layer.cpp
    """

    exact_bottoms = 3
    exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        a, x, y = (blob.shape for blob in bottom)
        if a[:2] != x[:2] or len(a) < 2 or any(n != 1 for n in a[2:]):
            raise self.error(f"needs a first bottom of shape {x[:2]}, one number per channel, got shape {a}")
        if x != y:
            raise self.error(f"needs equal shapes of its second and third bottom, got {x} and {y}")
        top[0].reshape(x)
        self.rows = (bottom[0].count, bottom[1].count_axes(2))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        a, x, y = bottom[0].data.reshape(-1, 1), bottom[1].data.reshape(self.rows), bottom[2].data
        z = top[0].data.reshape(self.rows)
        np.multiply(a, x, out=z)
        z += y.reshape(self.rows)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        dz = top[0].diff.reshape(self.rows)
        if propagate_down[0]:
            x, da = bottom[1].data.reshape(self.rows), bottom[0].diff.reshape(-1)
            np.einsum("rs,rs->r", dz, x, out=da, dtype=np.float64, casting="same_kind")
        if propagate_down[1]:
            np.multiply(bottom[0].data.reshape(-1, 1), dz, out=bottom[1].diff.reshape(self.rows))
        if propagate_down[2]:
            bottom[2].diff.reshape(self.rows)[...] = dz
