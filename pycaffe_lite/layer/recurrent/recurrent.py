"""The base of LSTM and RNN, layers that run over time steps and carry a state along."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from pycaffe_lite import fillers
from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import inner_product
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)


class BlobSpec(NamedTuple):
    """The shape and the filler of a learnable blob that is still to be made."""

    shape: tuple[int, ...]
    filler: caffe_pb2.FillerParameter


class RecurrentLayer(Layer[caffe_pb2.RecurrentParameter]):
    """A layer that runs over the time steps 1 to T of N sequences and hands a state from each to the next.

    Caffe unrolls such a layer into a net with a layer for each operation of each step. Here one product
    transforms the inputs of all steps, and kernels of their own run each step. The learnable blobs, their
    order and what the fillers draw are those of the unrolled net: every step's copy of the shared weights
    draws values, and those of the first copy are kept. Blobs in the prototxt are not used; the log says so.

    The state is carried from one forward pass to the next, in TEST as well; cont 0 begins a new sequence. No
    gradient goes from one pass back to the one before. With `expose_hidden`, bottoms give the first state and
    tops get the last one instead; neither has a gradient.

    A backward pass writes the gradients of all its inputs and adds to those of all blobs, wanted or not.

    With `debug_info`, the log has mean magnitudes step by step, under the names of the unrolled net.

    Bottom: x, (T, N, ...); cont, (T, N), 0 where a sequence begins, else 1; optionally x_static, (N, ...),
    which every step gets; with `expose_hidden` the first state, (1, N, D) for each of `states`.
    Top: the outputs, (T, N, D), D = num_output; with `expose_hidden` the last state, likewise.
    Raises LayerError for bottoms of other shapes, for another T than at setup, in place, and if a gradient of
    cont is asked for.
    Source: BVLC/caffe src/caffe/layers/recurrent_layer.cpp
    """

    # The names of the blobs that make up the state, and the number of gates in an input transform.
    states: ClassVar[tuple[str, ...]]
    gates: ClassVar[int]

    def allow_force_backward(self, bottom_index: int) -> bool:
        """True for x and x_static."""
        return bottom_index == 0 or (bottom_index == 2 and self.static)

    def allow_top_gradient(self, top_index: int) -> bool:
        """True for the outputs, but not for the last state."""
        return top_index == 0

    # ------------------------------------------------------------- setting up

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        refuse_in_place(self, bottom, top)
        if p.num_output < 1:
            raise self.error(f"needs num_output of at least 1, got {p.num_output}")
        self.D = p.num_output
        self._count_blobs(len(bottom), len(top))
        self.T = bottom[0].shape[0] if bottom[0].shape else 0
        self.I, self.S = bottom[0].count_axes(2), bottom[2].count_axes(1) if self.static else 0
        self._check_shapes(bottom)
        log.info(
            "Initializing recurrent layer: assuming input batch contains %d timesteps of %d independent "
            "streams.",
            *bottom[0].shape[:2],
        )
        self._add_weights()
        self.carried = [self.add_buffer() for _ in self.states]
        self.summed, self.static_summed = self.add_buffer(), self.add_buffer()

    def _count_blobs(self, bottoms: int, tops: int) -> None:
        """Checks the numbers of bottoms and tops, which depend on `expose_hidden`."""
        exposed = len(self.states) if self.param.expose_hidden else 0
        if not 2 + exposed <= bottoms <= 3 + exposed:
            raise self.error(f"takes {2 + exposed} or {3 + exposed} bottoms, got {bottoms}")
        if tops != 1 + exposed:
            raise self.error(f"takes exactly {1 + exposed} top{'s' if exposed else ''}, got {tops}")
        self.static = bottoms == 3 + exposed
        self.exposed = slice(bottoms - exposed, bottoms)

    def _add_weights(self) -> None:
        """Makes the learnable blobs and draws from the random stream as the unrolled net does."""
        if self.layer_param.blobs:
            log.warning("layer '%s' (%s): its blobs in the prototxt are not used", self.name, self.type)
        p, outputs = self.param, self.gates * self.D
        weights = [BlobSpec((outputs, self.I), p.weight_filler), BlobSpec((outputs,), p.bias_filler)]
        if self.static:
            weights.append(BlobSpec((outputs, self.S), p.weight_filler))
        for t in range(self.T + 1):
            for shape, filler in weights:
                blob = Blob(shape, self.dtype)
                fillers.fill(blob, filler)
                if t < 2:
                    self.blobs.append(blob)
            weights = self.step_weights()

    def step_weights(self) -> list[BlobSpec]:
        """The learnable blobs of which each step has a copy, in order."""
        raise NotImplementedError

    # ----------------------------------------------------------------- shaping

    def _check_shapes(self, bottom: Blobs) -> None:
        x, cont = bottom[0].shape, bottom[1].shape
        if len(x) < 3 or x[0] < 1:
            raise self.error(f"needs a bottom of shape (T, N, ...) with at least 3 axes, got {x}")
        if x[0] != self.T:
            raise self.error(f"needs {self.T} time steps on axis 0, as at setup, got bottom shape {x}")
        if bottom[0].count_axes(2) != self.I:
            raise self.error(f"needs {self.I} values from axis 2 on, as at setup, got bottom shape {x}")
        if cont != x[:2]:
            raise self.error(f"needs sequence indicators of shape {x[:2]}, got {cont}")
        if self.static:
            shape = bottom[2].shape
            if len(shape) < 2 or shape[0] != x[1] or bottom[2].count_axes(1) != self.S:
                needs = f"({x[1]}, ...)" + (f" with {self.S} values from axis 1 on" if self.S else "")
                raise self.error(f"needs a static input of shape {needs}, got {shape}")
        for name, blob in zip(self.states, bottom[self.exposed], strict=False):
            if blob.shape != (1, x[1], self.D):
                raise self.error(f"needs a state {name} of shape {(1, x[1], self.D)}, got {blob.shape}")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._check_shapes(bottom)
        self.N = bottom[0].shape[1]
        top[0].reshape(self.T, self.N, self.D)
        for blob in (*top[1:], *self.carried):
            blob.reshape(1, self.N, self.D)
        self.summed.reshape(self.T, self.N, self.gates * self.D)
        self.static_summed.reshape(self.N, self.gates * self.D)

    # ----------------------------------------------------------------- running

    def _rows(self, array: Array) -> Array:
        """Views (T, N, ...), all steps, as the rows of a matrix."""
        return array.reshape(self.T * self.N, array.shape[2])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        gates = self.summed.data
        x = bottom[0].data.reshape(self.T * self.N, self.I)
        inner_product.forward(x, self.blobs[0].data, self.blobs[1].data, self._rows(gates))
        if self.static:
            x, static = bottom[2].data.reshape(self.N, self.S), self.static_summed.data
            inner_product.forward(x, self.blobs[2].data, None, static)
            gates += static
        first = bottom[self.exposed] if self.param.expose_hidden else self.carried
        last = self.run_steps([blob.data[0] for blob in first], gates, bottom[1].data, top[0].data)
        for blob, values in zip(top[1:] if self.param.expose_hidden else self.carried, last, strict=True):
            blob.data[0] = values

    def run_steps(self, first: list[Array], gates: Array, cont: Array, y: Array) -> list[Array]:
        """Runs all steps.

        Args:
            first: the state before them, (N, D) each.
            gates: what the inputs give to each step, (T, N, gates D); may be overwritten.
            cont: (T, N). y: (T, N, D), overwritten by the outputs.

        Returns:
            The state after them.
        """
        raise NotImplementedError

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its sequence indicators")
        gates = self.summed.data
        self.run_steps_back(top[0].diff, bottom[1].data, gates)
        x, dx = (array.reshape(self.T * self.N, self.I) for array in (bottom[0].data, bottom[0].diff))
        inner_product.backward_weights(x, self._rows(gates), self.blobs[0].diff)
        inner_product.backward_bias(self._rows(gates), self.blobs[1].diff)
        inner_product.backward_data(self._rows(gates), self.blobs[0].data, dx)
        if self.static:
            x, dx = (array.reshape(self.N, self.S) for array in (bottom[2].data, bottom[2].diff))
            total = self.static_summed.data
            total[...] = gates.sum(axis=0, dtype=np.float64)
            inner_product.backward_weights(x, total, self.blobs[2].diff)
            inner_product.backward_data(total, self.blobs[2].data, dx)

    def run_steps_back(self, dy: Array, cont: Array, dgates: Array) -> None:
        """Runs all steps backward, adding to the gradients of the steps' own blobs.

        Args:
            dy: the outputs' gradient, (T, N, D). cont: (T, N).
            dgates: (T, N, gates D), overwritten by the gradient of what the inputs give.
        """
        raise NotImplementedError

    def log_mean(self, where: str, values: Array) -> None:
        """Logs the mean magnitude of a step's values if `debug_info` asks for it.

        Args:
            where: `[Forward] Layer {}_unit_1, top blob c_1 data`; {} becomes the layer's name.
            values: the values.
        """
        if self.param.debug_info:
            log.info("    %s: %g", where.format(self.name), np.abs(values).mean(dtype=np.float64))

    # ------------------------------------------------------- state for resuming

    def state(self) -> bytes | None:
        """The carried state; None with `expose_hidden`."""
        if self.param.expose_hidden:
            return None
        return b"".join(blob.data.tobytes() for blob in self.carried)

    def set_state(self, state: bytes) -> str:
        """Takes over the carried state of a layer of the same sizes and dtype; any other starts at zero."""
        if self.param.expose_hidden:
            return "its hidden state comes from its bottoms"
        sequence = len(self.carried) * self.D * self.dtype.itemsize
        if len(state) != self.N * sequence:
            for blob in self.carried:
                blob.data[...] = 0
            saved, rest = divmod(len(state), sequence)
            of = "another size" if rest else f"{saved} sequences, now there are {self.N}"
            return f"its hidden state starts at zero: the one saved is of {of}"
        values = np.frombuffer(state, self.dtype).reshape(len(self.carried), 1, self.N, self.D)
        for blob, part in zip(self.carried, values, strict=True):
            blob.data[...] = part
        return ""
