"""Input: blobs that the caller fills."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2


@register_layer("Input", param="input_param")
class InputLayer(Layer[caffe_pb2.InputParameter]):
    """Gives the net its inputs: tops of fixed shape, whose data the caller writes before a forward pass.

    Top: one or more. `shape` is given once for all, or once for each, or not at all: then the tops are empty
    until the caller reshapes them.
    Source: BVLC/caffe src/caffe/layers/input_layer.cpp
    """

    exact_bottoms = 0
    min_tops = 1
    is_input = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        shapes = self.param.shape
        if len(shapes) not in (0, 1, len(top)):
            raise self.error(
                f"needs no shape, one, or one for each of its {len(top)} tops, got {len(shapes)}"
            )
        for i, blob in enumerate(top if shapes else ()):
            blob.reshape(tuple(shapes[i if len(shapes) > 1 else 0].dim))

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps the tops as they are: the caller may have reshaped them."""

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Computes nothing: the data is the caller's."""

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Computes nothing: there is no bottom."""
