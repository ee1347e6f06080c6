"""The base of the layers whose top has the shape of their bottom."""

from __future__ import annotations

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import copy
from pycaffe_lite.layer.base import Blobs, Layer, P
from pycaffe_lite.layer.replay import by_shapes


class NeuronLayer(Layer[P]):
    """One bottom, and one top of its shape; in most types they may be the same blob.

    Attributes:
        keeps_input: whether backward needs the bottom's values, of which a layer in place then keeps a copy.

    Source: BVLC/caffe src/caffe/layers/neuron_layer.cpp
    """

    exact_bottoms = exact_tops = 1
    keeps_input = False
    _kept: Blob | None = None  # the copy; None if the top has memory of its own

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape_like(bottom[0])
        if self.keeps_input and top[0] is bottom[0]:
            if self._kept is None:
                self._kept = self.add_buffer()
                self._kept_for: set[tuple[int, ...]] = set()
            self._kept.reshape_like(bottom[0])

    def keep_input(self, bottom: Blobs, top: Blobs) -> Array:
        """Keeps the bottom's values x for backward, by a kernel, and returns them.

        It is to be called before y is written.
        """
        room = self.room_for_input(bottom)
        if room is None:
            return bottom[0].data
        copy.forward(bottom[0].data.ravel(), room.ravel())
        return room

    def room_for_input(self, bottom: Blobs) -> Array | None:
        """Where forward has to put a copy of x, for a layer whose own kernel makes it; None for nowhere."""
        if self._kept is None:
            return None
        self._kept_for.add(bottom[0].shape)
        return self._kept.data

    def seen_input(self, bottom: Blobs) -> Array:
        """What x was in the forward pass.

        Raises:
            LayerError: the layer works in place, and there was no forward pass for the present shape.
        """
        if self._kept is None:
            return bottom[0].data
        if bottom[0].shape not in self._kept_for:
            raise self.error(
                f"works in place: backward needs a forward pass for shape {bottom[0].shape} first"
            )
        return self._kept.data
