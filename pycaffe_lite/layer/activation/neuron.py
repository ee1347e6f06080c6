"""The base of layers that map each value by itself."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs, Layer, P
from pycaffe_lite.layer.replay import by_shapes


class NeuronLayer(Layer[P]):
    """A layer that maps each value by itself, y[i] = f(x[i]), from one bottom to one top of its shape.

    In most types, the two may be the same blob.

    Source: BVLC/caffe src/caffe/layers/neuron_layer.cpp
    """

    exact_bottoms = exact_tops = 1
    _kept: Array | None = None

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape_like(bottom[0])

    def keep_input(self, bottom: Blobs, top: Blobs) -> Array:
        """Returns x for a layer whose gradient needs it; in place, a copy made before y is written."""
        if top[0] is not bottom[0]:
            return bottom[0].data
        self._kept = bottom[0].data.copy()
        return self._kept

    def room_for_input(self, bottom: Blobs, top: Blobs) -> Array | None:
        """The array in which a layer's kernel is to keep a copy of x; None if no copy is needed."""
        if top[0] is not bottom[0]:
            return None
        x = bottom[0].data
        if self._kept is None or self._kept.shape != x.shape or self._kept.dtype != x.dtype:
            self._kept = np.empty_like(x)
        return self._kept

    def seen_input(self, bottom: Blobs, top: Blobs) -> Array:
        """The x of the forward pass, for backward; in place, the copy that was kept.

        Raises:
            LayerError: the layer works in place, and there was no forward pass for the present shape.
        """
        if top[0] is not bottom[0]:
            return bottom[0].data
        if self._kept is None or self._kept.shape != bottom[0].shape:
            raise self.error(
                f"works in place: backward needs a forward pass for shape {bottom[0].shape} first"
            )
        return self._kept
