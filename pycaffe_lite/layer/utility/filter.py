"""Filter: keeps the items of a batch that a selector picks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer


@register_layer("Filter")
class FilterLayer(Layer[None]):
    """Keeps, of each bottom, the items whose selector is not 0; dx is dy for these and 0 for the others.

    Bottom: one or more x, (N, ...); last, the selector, (N,) or (N, 1, ...). Top: one y for each x,
    (N', ...), where N' is the number of items picked, which may be 0. At setup the selector holds nothing
    yet, and N' = N.
    Raises LayerError for other numbers of tops, another N, a selector of more than N values, in place, and if
    a gradient of the selector is asked for.
    Source: BVLC/caffe src/caffe/layers/filter_layer.cpp
    """

    min_bottoms = 2
    min_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index != self.selector

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if len(top) != len(bottom) - 1:
            raise self.error(
                "takes one top for each bottom but the selector, "
                f"got {len(bottom)} bottoms and {len(top)} tops"
            )
        refuse_in_place(self, bottom, top)
        self.selector = len(bottom) - 1
        self.is_first_reshape = True

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        *inputs, selector = bottom
        if not selector.shape or selector.count != selector.shape[0]:
            raise self.error(f"needs a selector with one value for each item, got shape {selector.shape}")
        for i, blob in enumerate(inputs):
            if blob.shape[:1] != selector.shape[:1]:
                raise self.error(
                    f"needs bottoms of as many items as the selector has, {selector.shape[0]}, "
                    f"got shape {blob.shape} for bottom {i}"
                )
        if self.is_first_reshape:
            self.is_first_reshape = False
            self.picked = np.arange(selector.count)
        else:
            self.picked = np.flatnonzero(selector.data)
        for blob, y in zip(inputs, top, strict=True):
            y.reshape((len(self.picked), *blob.shape[1:]))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for x, y in zip(bottom[:-1], top, strict=True):
            y.data[...] = x.data[self.picked]

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[-1]:
            raise self.error(f"has no gradient to propagate down to its selector, bottom {self.selector}")
        for x, y, wanted in zip(bottom[:-1], top, propagate_down[:-1], strict=True):
            if wanted:
                x.diff.fill(0)
                x.diff[self.picked] = y.diff
