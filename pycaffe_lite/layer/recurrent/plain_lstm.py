"""Lstm: the long short-term memory that CTPN and other nets had before Caffe had one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import lstm
from pycaffe_lite.kernels.gemm import gemm
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.recurrent.lstm import LSTMLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


def _is_mycaffes(layer: caffe_pb2.LayerParameter) -> bool:
    return layer.HasField("recurrent_param")


# MyCaffe's name for Caffe's own LSTM.
register_layer("Lstm", param="recurrent_param", origin="MyCaffe", applies=_is_mycaffes)(LSTMLayer)


@register_layer("Lstm", param="lstm_param", origin="junhyukoh's caffe-lstm, and CTPN")
@register_layer("LstmJun", param="lstm_param", origin="CC5.0")
class PlainLSTMLayer(Layer[caffe_pb2.LstmParameter]):
    """Long short-term memory: c_t = f c_t-1 + i g, h_t = o tanh(c_t), from gates W_x x_t + W_h h_t-1 + b.

    i, f, o are sigmoids and g the tanh of their gates, in this order. Sequences begin at step 0, or, with a
    second bottom, where it is 0; where that is 1 at step 0, the first step goes on from the last one of the
    pass before. In backward, gradients of gates beyond `clipping_threshold` are cut off, and those of the
    pass before are not reached.

    Bottom: x, (T, N, ...), of 3 axes; or (T N, ...), of another number, with N sequences by `batch_size`;
    optionally indicators, T N of them. Top: h, (T, N, num_output), or (T N, num_output). Blobs: W_x,
    (4 num_output, I); W_h, (4 num_output, num_output); b, (4 num_output,).
    Raises LayerError for num_output 0, another I than at setup, and steps that do not divide.
    Source: junhyukoh/caffe-lstm src/caffe/layers/lstm_layer.cpp; tianzhi0549/CTPN
    caffe/src/caffe/layers/lstm_layer.cpp for 3 axes
    """

    min_bottoms, max_bottoms = 1, 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p, x = self.param, bottom[0]
        if p.num_output < 1:
            raise self.error(f"needs num_output of at least 1, got {p.num_output}")
        self.H = p.num_output
        self.has_steps = len(x.shape) == 3
        self.I = x.count_axes(2 if self.has_steps else 1)
        self.input_weight = self.add_blob((4 * self.H, self.I), p.weight_filler)
        self.hidden_weight = self.add_blob((4 * self.H, self.H), p.weight_filler)
        self.bias = self.add_blob((4 * self.H,), p.bias_filler)
        self.last: tuple[Array, Array] | None = None  # h and c of the last step of the last pass

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0]
        if (len(x.shape) == 3) != self.has_steps:
            raise self.error(f"needs as many axes as at setup, got bottom shape {x.shape}")
        if x.count_axes(2 if self.has_steps else 1) != self.I:
            raise self.error(f"needs {self.I} values for each step, got bottom shape {x.shape}")
        if self.has_steps:
            self.T, self.N = x.shape[:2]
        else:
            self.N = self.param.batch_size
            if self.N < 1 or x.shape[0] % self.N:
                raise self.error(
                    f"needs steps of batch_size {self.N} sequences each, got bottom shape {x.shape}"
                )
            self.T = x.shape[0] // self.N
        if len(bottom) > 1 and bottom[1].count != self.T * self.N:
            raise self.error(f"needs {self.T * self.N} indicators, got shape {bottom[1].shape}")
        top[0].reshape((self.T, self.N, self.H) if self.has_steps else (self.T * self.N, self.H))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        T, N, H = self.T, self.N, self.H
        rows = bottom[0].data.reshape(T * N, self.I)
        gates = np.empty((T * N, 4 * H), self.dtype)
        gemm(rows, self.input_weight.data, gates, trans_b=True)
        gates += self.bias.data
        gates = gates.reshape(T, N, 4 * H)
        self.cont = np.ones((T, N), self.dtype)
        self.cont[:1] = 0
        if len(bottom) > 1:
            self.cont[...] = bottom[1].data.reshape(T, N) != 0
        # State t is that before step t.
        self.h, self.c = (np.zeros((T + 1, N, H), self.dtype) for _ in range(2))
        if len(bottom) > 1 and self.last is not None and self.last[0].shape == (N, H):
            self.h[0], self.c[0] = self.last
        self.acts = np.empty_like(gates)
        for t in range(T):
            gemm(self.h[t] * self.cont[t][:, None], self.hidden_weight.data, gates[t], trans_b=True, beta=1)
            lstm.forward(self.c[t], gates[t], self.cont[t], self.acts[t], self.c[t + 1], self.h[t + 1])
        if len(bottom) > 1:
            self.last = self.h[T].copy(), self.c[T].copy()
        top[0].data.reshape(T, N, H)[...] = self.h[1:]

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down[1:]):
            raise self.error("has no gradient for its indicators")
        T, N, H = self.T, self.N, self.H
        dy = top[0].diff.reshape(T, N, H)
        dgates = np.empty((T, N, 4 * H), self.dtype)
        dh, dc, dc_prev = (np.zeros((N, H), self.dtype) for _ in range(3))
        most = self.param.clipping_threshold
        for t in reversed(range(T)):
            dh += dy[t]
            lstm.backward(self.c[t], self.acts[t], self.c[t + 1], dc, dh, dc_prev, dgates[t])
            if most > 0:
                np.clip(dgates[t], -most, most, out=dgates[t])
            gemm(dgates[t], self.hidden_weight.data, dh)
            dh *= self.cont[t][:, None]
            dc, dc_prev = dc_prev, dc
        flat = dgates.reshape(T * N, 4 * H)
        wants_input, wants_hidden, wants_bias = self.param_propagate_down
        if wants_input:
            rows = bottom[0].data.reshape(T * N, self.I)
            gemm(flat, rows, self.input_weight.diff, trans_a=True, beta=1)
        if wants_hidden:
            before = (self.h[:T] * self.cont[..., None]).reshape(T * N, H)
            gemm(flat, before, self.hidden_weight.diff, trans_a=True, beta=1)
        if wants_bias:
            self.bias.diff[...] += flat.sum(axis=0)
        if propagate_down[0]:
            gemm(flat, self.input_weight.data, bottom[0].diff.reshape(T * N, self.I))
