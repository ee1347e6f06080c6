"""LSTMUnit: one time step of long short-term memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import lstm
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer


@register_layer("LSTMUnit")
class LSTMUnitLayer(Layer[Any]):
    """Cell and output of LSTM units: c = f c_prev + i g, h = o tanh(c).

    i = σ(x_i), f = cont σ(x_f), o = σ(x_o), g = tanh(x_g), where x holds the blocks x_i, x_f, x_o, x_g.
    With t = dc + dh o (1 - tanh² c): dc_prev = t f, dx_i = t g i (1 - i), dx_f = t c_prev f (1 - f),
    dx_o = dh tanh(c) o (1 - o), dx_g = t i (1 - g²); dx_f is exact for a cont of 0 or 1. Both gradients are
    written as soon as one is wanted.

    Bottom: c_prev, (1, N, D); x, (1, N, 4 D); cont, (1, N), 0 where a sequence begins, else 1.
    Top: c and h, (1, N, D).
    Raises LayerError for bottoms of other shapes, in place, and if a gradient of cont is asked for.
    Paper: Hochreiter, Schmidhuber, "Long Short-Term Memory", 1997.
    Source: BVLC/caffe src/caffe/layers/lstm_unit_layer.cpp
    """

    exact_bottoms = 3
    exact_tops = 2

    def allow_force_backward(self, bottom_index: int) -> bool:
        """True for all but cont."""
        return bottom_index != 2

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        self.acts = self.add_buffer()  # i, f, o and g

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        c_prev, x, cont = (blob.shape for blob in bottom)
        N, D = c_prev[1:] if len(c_prev) == 3 else (0, 0)
        if (c_prev, x, cont) != ((1, N, D), (1, N, 4 * D), (1, N)):
            raise self.error(
                f"needs bottoms of shapes (1, N, D), (1, N, 4 D) and (1, N), got {c_prev}, {x} and {cont}"
            )
        for blob in top:
            blob.reshape_like(bottom[0])
        self.acts.reshape_like(bottom[1])

    @staticmethod
    def _step(*arrays: Array) -> tuple[Array, ...]:
        """The arrays without their axis 0, the one time step."""
        return tuple(array[0] for array in arrays)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        arrays = [blob.data for blob in (*bottom, self.acts, *top)]
        lstm.forward(*self._step(*arrays))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[2]:
            raise self.error("has no gradient for its sequence indicators")
        if propagate_down[0] or propagate_down[1]:
            values = bottom[0].data, self.acts.data, top[0].data
            diffs = top[0].diff, top[1].diff, bottom[0].diff, bottom[1].diff
            lstm.backward(*self._step(*values, *diffs))
