"""LSTM: long short-term memory over the time steps of sequences."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import lstm
from pycaffe_lite.kernels.gemm import gemm
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.recurrent.recurrent import BlobSpec, RecurrentLayer
from pycaffe_lite.layer.registry import register_layer


@register_layer("LSTM", param="recurrent_param")
class LSTMLayer(RecurrentLayer):
    """Long short-term memory: h_t, c_t = LSTMUnit(c_t-1, z_t, cont_t) for t = 1 to T.

    z_t = W_xc x_t + b_c + W_hc (cont_t h_t-1), and + W_xc_static x_static if there is one. LSTMUnit says what
    becomes of its blocks i, f, o and g, and of their gradients. With dz_t for the gradient of z_t,
    dW_xc = Σ_t dz_t x_tᵀ, db_c = Σ_t dz_t, dW_hc = Σ_t dz_t (cont_t h_t-1)ᵀ, dx_t = W_xcᵀ dz_t, and
    cont_t W_hcᵀ dz_t goes on to h_t-1.

    Bottom: x, (T, N, ...) with I values from axis 2 on; cont, (T, N), 0 where a sequence begins, else 1;
    optionally x_static, (N, ...) with S values; with `expose_hidden`, then h_0 and c_0, (1, N, D).
    Top: h, (T, N, D), D = num_output; with `expose_hidden` also h_T and c_T, (1, N, D).
    Blobs: W_xc, (4 D, I); b_c, (4 D,); W_xc_static, (4 D, S), with x_static only; W_hc, (4 D, D).
    The state and its gradient, `debug_info`, fillers and what raises: see RecurrentLayer.
    Paper: Hochreiter, Schmidhuber, "Long Short-Term Memory", 1997; as in Donahue et al., "Long-term Recurrent
    Convolutional Networks for Visual Recognition and Description", 2015 (arXiv 1411.4389).
    Source: BVLC/caffe src/caffe/layers/lstm_layer.cpp
    """

    states = ("h", "c")
    gates = 4

    def step_weights(self) -> list[BlobSpec]:
        return [BlobSpec((4 * self.D, self.D), self.param.weight_filler)]

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        # Per step: i, f, o and g; cont_t h_t-1; and c_t, with c_0 in front.
        self.acts, self.gated, self.cells = (self.add_buffer() for _ in range(3))

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        self.acts.reshape(self.T, self.N, 4 * self.D)
        self.gated.reshape(self.T, self.N, self.D)
        self.cells.reshape(self.T + 1, self.N, self.D)

    def run_steps(self, first: list[Array], gates: Array, cont: Array, y: Array) -> list[Array]:
        acts, gated, c = self.acts.data, self.gated.data, self.cells.data
        weight = self.blobs[-1].data
        h, c[0] = first
        for t in range(self.T):
            np.multiply(h, cont[t, :, np.newaxis], out=gated[t])
            gemm(gated[t], weight, gates[t], trans_b=True, beta=1)
            lstm.forward(c[t], gates[t], cont[t], acts[t], c[t + 1], y[t])
            h = y[t]
            self.log_mean(f"[Forward] Layer {{}}_unit_{t + 1}, top blob c_{t + 1} data", c[t + 1])
            self.log_mean(f"[Forward] Layer {{}}_unit_{t + 1}, top blob h_{t + 1} data", h)
        return [h, c[self.T]]

    def run_steps_back(self, dy: Array, cont: Array, dgates: Array) -> None:
        acts, c, weight = self.acts.data, self.cells.data, self.blobs[-1]
        dh, dc, dc_prev = dy[-1], np.zeros_like(dy[0]), np.empty_like(dy[0])
        passed = np.empty_like(dy[0])
        for t in reversed(range(self.T)):
            lstm.backward(c[t], acts[t], c[t + 1], dc, dh, dc_prev, dgates[t])
            dc, dc_prev = dc_prev, dc
            if t > 0:
                gemm(dgates[t], weight.data, passed)
                dh = dy[t - 1] + passed * cont[t, :, np.newaxis]
            self.log_mean(
                f"[Backward] Layer {{}}_unit_{t + 1}, bottom blob gate_input_{t + 1} diff", dgates[t]
            )
        gemm(self._rows(dgates), self._rows(self.gated.data), weight.diff, trans_a=True, beta=1)
