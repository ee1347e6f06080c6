"""The base of the layers that map each value by itself."""

from __future__ import annotations

from pycaffe_lite.blob import Array
from pycaffe_lite.layers.base import Blobs, Layer, P


class NeuronLayer(Layer[P]):
    """y[i] = f(x[i]): one bottom, one top of its shape; in most types it may be the same blob.

    Source: BVLC/caffe src/caffe/layers/neuron_layer.cpp
    """

    exact_bottoms = exact_tops = 1
    reshape_follows_shapes = True

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape_like(bottom[0])

    def kept_input(self, bottom: Blobs, top: Blobs) -> Array:
        """x, to be asked for before y is written, by a layer whose gradient needs it: in place, a copy."""
        x = bottom[0].data
        return x.copy() if top[0] is bottom[0] else x
