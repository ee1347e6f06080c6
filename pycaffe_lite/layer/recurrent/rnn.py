"""RNN: a simple recurrent net over the time steps of sequences."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import inner_product, tanh
from pycaffe_lite.kernels.gemm import gemm
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.recurrent.recurrent import BlobSpec, RecurrentLayer
from pycaffe_lite.layer.registry import register_layer


@register_layer("RNN", param="recurrent_param")
class RNNLayer(RecurrentLayer):
    """Simple recurrent net: h_t = tanh(z_t), o_t = tanh(W_ho h_t + b_o) for t = 1 to T.

    z_t = W_xh x_t + b_h + W_hh (cont_t h_t-1), and + W_xh_static x_static if there is one.
    With da_t = do_t (1 - o_t²) and dz_t = (W_hoᵀ da_t + cont_t+1 W_hhᵀ dz_t+1) (1 - h_t²):
    dW_ho = Σ_t da_t h_tᵀ, db_o = Σ_t da_t, dW_hh = Σ_t dz_t (cont_t h_t-1)ᵀ, dW_xh = Σ_t dz_t x_tᵀ,
    db_h = Σ_t dz_t and dx_t = W_xhᵀ dz_t.

    Bottom: x, (T, N, ...) with I values from axis 2 on; cont, (T, N), 0 where a sequence begins, else 1;
    optionally x_static, (N, ...) with S values; with `expose_hidden`, then h_0, (1, N, D).
    Top: o, (T, N, D), D = num_output; with `expose_hidden` also h_T, (1, N, D).
    Blobs: W_xh, (D, I); b_h, (D,); W_xh_static, (D, S), with x_static only; W_hh, (D, D); W_ho, (D, D);
    b_o, (D,).
    The state and its gradient, `debug_info`, fillers and what raises: see RecurrentLayer.
    Source: BVLC/caffe src/caffe/layers/rnn_layer.cpp
    """

    states = ("h",)
    gates = 1

    def step_weights(self) -> list[BlobSpec]:
        square, p = (self.D, self.D), self.param
        return [
            BlobSpec(square, p.weight_filler),
            BlobSpec(square, p.weight_filler),
            BlobSpec((self.D,), p.bias_filler),
        ]

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        # Per step: cont_t h_t-1; h_t; o_t, as later layers may overwrite the top; and its gradient.
        self.gated, self.hidden, self.output = (self.add_buffer() for _ in range(3))

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        for blob in (self.gated, self.hidden, self.output):
            blob.reshape_like(top[0])

    def run_steps(self, first: list[Array], gates: Array, cont: Array, y: Array) -> list[Array]:
        gated, hidden, output = self.gated.data, self.hidden.data, self.output.data
        from_hidden, to_output, bias = (blob.data for blob in self.blobs[-3:])
        h = first[0]
        for t in range(self.T):
            np.multiply(h, cont[t, :, np.newaxis], out=gated[t])
            gemm(gated[t], from_hidden, gates[t], trans_b=True, beta=1)
            tanh.forward(gates[t].ravel(), hidden[t].ravel())
            h = hidden[t]
            self.log_mean(f"[Forward] Layer {{}}_h_neuron_{t + 1}, top blob h_{t + 1} data", h)
        inner_product.forward(self._rows(hidden), to_output, bias, self._rows(y))
        tanh.forward(y.ravel(), output.ravel())
        np.copyto(y, output)
        for t in range(self.T):
            self.log_mean(f"[Forward] Layer {{}}_o_neuron_{t + 1}, top blob o_{t + 1} data", output[t])
        return [h]

    def run_steps_back(self, dy: Array, cont: Array, dgates: Array) -> None:
        hidden, (from_hidden, to_output, bias) = self.hidden.data, self.blobs[-3:]
        da, dh = np.empty_like(dy), np.empty_like(dy)
        tanh.backward(self.output.data.ravel(), dy.ravel(), da.ravel())
        inner_product.backward_weights(self._rows(hidden), self._rows(da), to_output.diff)
        inner_product.backward_bias(self._rows(da), bias.diff)
        inner_product.backward_data(self._rows(da), to_output.data, self._rows(dh))
        passed = np.empty_like(dy[0])
        for t in reversed(range(self.T)):
            tanh.backward(hidden[t].ravel(), dh[t].ravel(), dgates[t].ravel())
            if t > 0:
                gemm(dgates[t], from_hidden.data, passed)
                dh[t - 1] += passed * cont[t, :, np.newaxis]
            where = f"[Backward] Layer {{}}_h_neuron_{t + 1}, bottom blob h_neuron_input_{t + 1} diff"
            self.log_mean(where, dgates[t])
        gemm(self._rows(dgates), self._rows(self.gated.data), from_hidden.diff, trans_a=True, beta=1)
