"""Silence: reads blobs so that they are no outputs of the net."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer


@register_layer("Silence")
class SilenceLayer(Layer[None]):
    """Takes its bottoms out of the net's outputs; dx = 0.

    Bottom: one or more, any shape. Top: none.
    Source: BVLC/caffe src/caffe/layers/silence_layer.cpp
    """

    min_bottoms = 1
    exact_tops = 0
    passes_values_on = True

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """There is no top to shape."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """There is no top to compute."""

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        for blob, wanted in zip(bottom, propagate_down, strict=True):
            if wanted:
                blob.diff.fill(0)
