"""BatchReindex: picks items from a batch by their index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels import rows
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer


@register_layer("BatchReindex")
class BatchReindexLayer(Layer[None]):
    """Picks items of a batch by an index: y[i] = x[index[i]]; dx[j] = Σ dy[i] over all i with index[i] = j.

    Bottom: x, (N, ...); index, (M,), numbers from 0 up to N, fractions cut off; M may be 0. Top: y, (M, ...).
    Raises LayerError for an index of other than 1 axis, a number out of range, in place, and if a gradient of
    the index is asked for.
    Source: BVLC/caffe src/caffe/layers/batch_reindex_layer.cpp
    """

    exact_bottoms = 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, index = bottom[0].shape, bottom[1].shape
        if not x:
            raise self.error("needs a first bottom of at least 1 axis, got shape ()")
        if len(index) != 1:
            raise self.error(f"needs an index of 1 axis, got shape {index}")
        top[0].reshape((*index, *x[1:]))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        items, index = bottom[0].shape[0], bottom[1].data
        right = (index >= 0) & (index < items)
        if not right.all():
            raise self.error(f"needs indices from 0 to {items - 1}, got {index[~right][0]:g}")
        self.index = index.astype(np.int64)
        if top[0].count:
            np.take(bottom[0].data, self.index, axis=0, out=top[0].data, mode="clip")

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient to propagate down to its index, bottom 1")
        if propagate_down[0]:
            dx = bottom[0].diff
            dx.fill(0)
            if top[0].count:
                values = bottom[0].count_axes(1)
                rows.add(top[0].diff.reshape(-1, values), self.index, dx.reshape(-1, values))
