"""Reshape with `pixelshuffler`: channels become the pixels of a larger image."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


def _shuffles(layer: caffe_pb2.LayerParameter) -> bool:
    return layer.reshape_param.pixelshuffler != 1


@register_layer("Reshape", param="reshape_param", origin="Intel", applies=_shuffles)
class PixelShuffleLayer(Layer[caffe_pb2.ReshapeParameter]):
    """Each r × r channels make one of r times the size.

        y[n, c, h r + i, w r + j] = x[n, (c r + i) r + j, h, w]

    r is `pixelshuffler`; no other field of `reshape_param` has an effect.

    Bottom: x, (N, C r², H, W). Top: y, (N, C, H r, W r); not the same blob.
    Raises LayerError for r below 1, a bottom of other than 4 axes, a number of channels that r² does not
    divide, and in place.
    Paper: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network", 2016 (arXiv 1609.05158).
    Source: intel/caffe src/caffe/layers/reshape_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        if self.param.pixelshuffler < 1:
            raise self.error(f"needs a pixelshuffler of at least 1, got {self.param.pixelshuffler}")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape, r = bottom[0].shape, self.param.pixelshuffler
        if len(shape) != 4 or shape[1] % r**2:
            raise self.error(f"needs a bottom of 4 axes whose channels {r**2} divides, got shape {shape}")
        N, C, H, W = shape
        top[0].reshape((N, C // r**2, H * r, W * r))

    def _by_pixels(self, bottom: Blobs, array: Array) -> Array:
        """A view of the bottom's data or diff in the order of the top, (N, C, H, r, W, r)."""
        N, C, H, W = bottom[0].shape
        r = self.param.pixelshuffler
        view: Array = array.reshape(N, C // r**2, r, r, H, W).transpose(0, 1, 4, 2, 5, 3)
        return view

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = self._by_pixels(bottom, bottom[0].data)
        top[0].data.reshape(x.shape)[...] = x

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            dx = self._by_pixels(bottom, bottom[0].diff)
            dx[...] = top[0].diff.reshape(dx.shape)
