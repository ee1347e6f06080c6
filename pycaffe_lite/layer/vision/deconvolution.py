"""Deconvolution: the transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.fusing import fills_tops
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.vision.base_convolution import BaseConvolutionLayer
from pycaffe_lite.layer.vision.spatial import Sizes


@register_layer("Deconvolution", param="convolution_param")
class DeconvolutionLayer(BaseConvolutionLayer):
    """A convolution with bottom and top exchanged.

    With two spatial axes, stride s and dilation d:

        y[n, m, h, w] = b[m] + Σ w[c, m, i, j] x[n, c, p, q]

    over all c of m's group and all p, q, i, j with h = p s - pad + i d and w = q s - pad + j d. This is the
    data gradient of a convolution, and its own data gradient is that convolution's forward pass. Below,
    h, w, p and q belong together in the same way:

        dx[n, c, p, q]   = Σ w[c, m, i, j] dy[n, m, h, w]   over m, i, j
        dw[c, m, i, j]  += Σ x[n, c, p, q] dy[n, m, h, w]   over n, p, q
        db[m]           += Σ dy[n, m, h, w]                 over n, h, w

    Bottom: one or more of one shape; x, (N, C, P, Q): channels on `axis`, any number of axes before it (all
    count as N) and after it (spatial). Top: one for each bottom, (N, num_output, H, W), with H = s (P - 1) +
    d (k - 1) + 1 - 2 pad. Blobs, which all bottoms share: w, (C, num_output / group, *kernel), the bottom's
    channels first (so a filler's fan-in is num_output / group * kernel, its fan-out C * kernel); b,
    (num_output,), unless bias_term is false.
    Raises LayerError as Convolution does.
    Source: BVLC/caffe src/caffe/layers/deconv_layer.cpp
    """

    def weight_shape(self) -> Sizes:
        return self.channels, self.param.num_output // self.group

    def output_sizes(self, sizes: Sizes) -> Sizes:
        return self.window.transposed_output(sizes)

    def image(self, sizes: Sizes) -> tuple[int, Sizes]:
        return self.param.num_output, self.output_sizes(sizes)

    @fills_tops
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for x, y in zip(bottom, top, strict=True):
            self.convolve_back(x.data, self.weight.data, y.data)
            if self.bias is not None:
                self.add_bias(y.data, self.bias.data)
            self.rectifier.apply(y.data)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        for x, y, wanted in zip(bottom, top, propagate_down, strict=True):
            dy = self.rectifier.diff_before(y)
            if self.bias is not None and self.param_propagate_down[1]:
                self.add_bias_gradient(self.bias, dy)
            if self.param_propagate_down[0]:
                self.add_weight_gradient(dy, x.data)
            if wanted:
                self.convolve(dy, self.weight.data, None, x.diff)
