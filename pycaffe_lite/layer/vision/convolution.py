"""Convolution: cross-correlation with learnt kernels."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.fusing import TakesEpilogue, fills_tops
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels
from pycaffe_lite.layer.vision.base_convolution import BaseConvolutionLayer
from pycaffe_lite.layer.vision.spatial import Sizes


@register_layer("Convolution", param="convolution_param")
class ConvolutionLayer(BaseConvolutionLayer, TakesEpilogue):
    """Cross-correlation with learnt kernels.

    With two spatial axes, stride s and dilation d:

        y[n, m, p, q] = b[m] + Σ_{c, i, j} w[m, c, i, j] x[n, c, p s - pad + i d, q s - pad + j d]

    Outside of the image x counts as 0; c runs over the channels of m's group. By the chain rule, each factor
    of a product gets the gradient of the result times the other factor. With h = p s - pad + i d and
    v = q s - pad + j d,

        dx[n, c, h, v]   = Σ w[m, c, i, j] dy[n, m, p, q]   over all m, i, j, p, q that lead to h and v
        dw[m, c, i, j]  += Σ x[n, c, h, v] dy[n, m, p, q]   over n, p, q
        db[m]           += Σ dy[n, m, p, q]                 over n, p, q

    kernels/convolution/definition.py writes these sums as plain loops. With Intel's `relu: true`, negative y
    are then multiplied by `negative_slope`, and so are their gradients.

    Bottom: one or more of one shape; x, (N, C, H, W): channels on `axis`, any number of axes before it (all
    count as N) and after it (spatial: none, one, two, three, ...). Top: one for each bottom, (N, num_output,
    P, Q), with P = (H + 2 pad - (d (k - 1) + 1)) / s + 1, the quotient rounded towards 0. Blobs, which all
    bottoms share: w, (num_output, C / group, *kernel); b, (num_output,), unless bias_term is false.
    Raises LayerError if group does not divide channels and num_output, for sizes given in a wrong number or
    way, a window that yields no output, bottoms of several shapes, another C than at setup, and in place.
    Source: BVLC/caffe src/caffe/layers/conv_layer.cpp
    """

    def weight_shape(self) -> Sizes:
        return self.param.num_output, self.channels // self.group

    def output_sizes(self, sizes: Sizes) -> Sizes:
        return self.window.output(sizes)

    def image(self, sizes: Sizes) -> tuple[int, Sizes]:
        return self.channels, sizes

    @fills_tops
    @by_kernels(when=lambda layer: layer.plane is not None)
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        bias = None if self.bias is None else self.bias.data
        for x, y in zip(bottom, top, strict=True):
            self.convolve(x.data, self.weight.data, bias, y.data)
            self.rectifier.apply(y.data)

    @by_kernels(when=lambda layer: layer.plane is not None, fills_clear_diffs=True)
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        for x, y, wanted in zip(bottom, top, propagate_down, strict=True):
            dy = self.rectifier.diff_before(y)
            if self.bias is not None and self.param_propagate_down[1]:
                self.add_bias_gradient(self.bias, dy)
            if self.param_propagate_down[0]:
                self.add_weight_gradient(x.data, dy)
            if wanted:
                self.convolve_back(dy, self.weight.data, x.diff)

    # -------------------------------- in one kernel with the layers behind it, see layer/fusing.py

    def takes_epilogue(self) -> bool:
        return self.axis == 1 and self.plane is not None and self.rectifier.slope is None

    @by_kernels(when=takes_epilogue)
    def forward_with_epilogue(self, bottom: Blobs, top: Blobs, epilogue: Epilogue) -> None:
        bias = None if self.bias is None else self.bias.data
        for x, y in zip(bottom, top, strict=True):
            self.convolve(x.data, self.weight.data, bias, y.data, epilogue)
