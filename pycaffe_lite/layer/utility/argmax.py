"""ArgMax: finds the indices of the largest values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("ArgMax", param="argmax_param")
class ArgMaxLayer(Layer[caffe_pb2.ArgMaxParameter]):
    """Finds the indices of the top_k largest values, largest first; of equal values, the larger index first.

    Without `axis` it looks through each item as a whole, and with out_max_val it gives the values as well.
    With `axis` it looks along that axis, and with out_max_val it gives the values instead. There is no
    gradient.

    Bottom: x, (N, ...). Top: without axis (N, 1, top_k), or with out_max_val (N, 2, top_k), indices then
    values, followed by axes of length 1 up to the bottom's number of axes; with axis, the shape of x with
    top_k along that axis.
    Raises LayerError for an axis that does not exist, for top_k below 1 or above the number of values, in
    place, and if a gradient is asked for.
    Source: BVLC/caffe src/caffe/layers/argmax_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        """Always false: there is no gradient."""
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        p, shape = self.param, bottom[0].shape
        if p.HasField("axis"):
            self.axis = bottom[0].canonical_axis(p.axis)
            values = shape[self.axis]
        elif not shape:
            raise self.error("needs a bottom of at least 1 axis, got shape ()")
        else:
            values = bottom[0].count_axes(1)
        if not 1 <= p.top_k <= values:
            raise self.error(
                f"needs a top_k from 1 to the {values} values to choose from, "
                f"got {p.top_k} and bottom shape {shape}"
            )
        if p.HasField("axis"):
            top[0].reshape((*shape[: self.axis], p.top_k, *shape[self.axis + 1 :]))
        else:
            top[0].reshape((shape[0], 2 if p.out_max_val else 1, p.top_k, *(1,) * (len(shape) - 3)))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = bottom[0].data, top[0].data
        if not x.size:
            return
        if self.param.HasField("axis"):
            indices = self._largest(x, self.axis)
            y[...] = np.take_along_axis(x, indices, self.axis) if self.param.out_max_val else indices
        else:
            x = x.reshape(x.shape[0], -1)
            y = y.reshape(x.shape[0], -1, self.param.top_k)
            indices = self._largest(x, 1)
            y[:, 0] = indices
            if self.param.out_max_val:
                y[:, 1] = np.take_along_axis(x, indices, 1)

    def _largest(self, x: Array, axis: int) -> np.typing.NDArray[np.intp]:
        """The indices of the top_k largest along the axis; of equal values, the later ones win."""
        if self.param.top_k == 1:
            return np.asarray(x.shape[axis] - 1 - np.argmax(np.flip(x, axis), axis, keepdims=True))
        order = np.flip(np.argsort(x, axis, kind="stable"), axis)
        return np.take(order, np.arange(self.param.top_k), axis)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            raise self.error("has no gradient to propagate down to its bottom")
