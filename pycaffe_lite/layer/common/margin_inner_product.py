"""MarginInnerProduct and LargeMarginInnerProduct: products with a margin of angles."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.polynomial.chebyshev import Chebyshev

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels.gemm import gemm
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.loss.labels import LabelReader
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

_ITERATION = struct.Struct("<q")
LEAST = 1e-9  # is added to lengths by which something is divided


def angular_margin(cosine: Array, m: int) -> tuple[Array, Array]:
    """ψ(θ) = (-1)^k cos(m θ) - 2k for θ from k π/m to (k + 1) π/m, and its slope by cos(θ).

    cos(m θ) is the Chebyshev polynomial of degree m in cos(θ); k counts the bounds that cos(θ) is below.

    Args:
        cosine: of θ, (M,), float64. m: how many times the angle counts.
    """
    multiple = Chebyshev.basis(m)
    bounds = np.cos(np.arange(1, m) * np.pi / m)
    k = (cosine[:, None] < bounds).sum(axis=1)
    sign = 1 - 2 * (k % 2)
    return sign * multiple(cosine) - 2 * k, sign * multiple.deriv()(cosine)


@register_layer("MarginInnerProduct", param="margin_inner_product_param", origin="SphereFace")
class MarginInnerProductLayer(Layer[caffe_pb2.MarginInnerProductParameter]):
    """Products of x with weights of length 1, y = x wᵀ; that of the label's class by a multiple of the angle.

    For the label, y = (|x| ψ(θ) + λ x·w) / (1 + λ), with ψ(θ) = (-1)^k cos(m θ) - 2k for θ from k π/m to
    (k + 1) π/m, and m = 1 to 4 for SINGLE to QUADRUPLE; with SINGLE all are plain products. λ is the larger
    of lambda_min and base (1 + gamma t)^-power, where t is `iteration` and one more for each forward pass so
    far. Each forward pass divides the rows of w, in place, by their lengths.

    dw = dyᵀ x, as of plain products. dx = dy w; for the label dy (a w + b x + λ w) / (1 + λ), where (a, b) is
    ψ' and (ψ - cos(θ) ψ') / |x|, made 1 long: both are the fork's, not the true gradients.

    Bottom: x, (M, K), all axes from `axis` on being K; labels, M of them. Top: y, of the axes of x before
    `axis` and num_output; optionally λ, (1,). Blob: w, (num_output, K). Raises LayerError for num_output 0,
    another K than at setup, and a label out of range.
    Paper: Liu et al., "SphereFace: Deep Hypersphere Embedding for Face Recognition", 2017 (arXiv 1704.08063).
    Source: wy1iu/sphereface tools/caffe-sphereface/src/caffe/layers/margin_inner_product_layer.cpp
    """

    exact_bottoms = 2
    min_tops, max_tops = 1, 2

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 0

    def allow_top_gradient(self, top_index: int) -> bool:
        return top_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if p.num_output < 1:
            raise self.error(f"needs num_output of at least 1, got {p.num_output}")
        self.m = p.type + 1
        self.iteration = p.iteration
        self.K = bottom[0].count_axes(bottom[0].canonical_axis(p.axis))
        self.weight = self.add_blob((p.num_output, self.K), p.weight_filler)
        self.labels = LabelReader(self, None, can_ignore=False)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0]
        axis = x.canonical_axis(self.param.axis)
        if x.count_axes(axis) != self.K:
            raise self.error(f"needs {self.K} values from axis {axis} on, got bottom shape {x.shape}")
        self.M = x.count_axes(0, axis)
        if bottom[1].count != self.M:
            raise self.error(f"needs {self.M} labels, got shape {bottom[1].shape}")
        top[0].reshape((*x.shape[:axis], self.param.num_output))
        if len(top) > 1:
            top[1].reshape(1)

    def _advance(self, top: Blobs) -> None:
        """Computes λ of the next pass, and gives it to the second top."""
        p = self.param
        self.iteration += 1
        self.decay = max(p.base * (1 + p.gamma * self.iteration) ** -p.power, p.lambda_min)
        if len(top) > 1:
            top[1].data[...] = self.decay

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        self._advance(top)
        x, y, w = bottom[0].data.reshape(self.M, self.K), top[0].data.reshape(self.M, -1), self.weight.data
        w /= np.sqrt(np.square(w, dtype=np.float64).sum(axis=1, keepdims=True))
        gemm(x, w, y, trans_b=True)
        self.classes = self.labels.read(bottom[1], p.num_output).copy()
        if self.m > 1:
            rows = np.arange(self.M)
            plain = y[rows, self.classes].astype(np.float64)
            length, cosine = self._angles(x, plain)
            psi, _ = angular_margin(cosine, self.m)
            y[rows, self.classes] = (length * psi + self.decay * plain) / (1 + self.decay)

    def _angles(self, x: Array, products: Array) -> tuple[Array, Array]:
        """|x| and the cosine of the angle to the label's class, (M,); the cosine of a row of zeros is 0."""
        length = np.sqrt(np.square(x, dtype=np.float64).sum(axis=1))
        return length, products / np.where(length > 0, length, 1)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        x, dy, w = bottom[0].data.reshape(self.M, self.K), top[0].diff.reshape(self.M, -1), self.weight.data
        if self.param_propagate_down[0]:
            gemm(dy, x, self.weight.diff, trans_a=True, beta=1)
        if not propagate_down[0]:
            return
        dx = bottom[0].diff.reshape(self.M, self.K)
        if self.m == 1:
            gemm(dy, w, dx)
            return
        rows = np.arange(self.M)
        length, cosine = self._angles(x, np.einsum("mk,mk->m", x, w[self.classes], dtype=np.float64))
        psi, slope = angular_margin(cosine, self.m)
        of_x = (psi - cosine * slope) / np.where(length > 0, length, 1)
        both = np.hypot(slope, of_x)
        of_label = dy[rows, self.classes].astype(np.float64) / (1 + self.decay)
        by_product = dy.copy()
        by_product[rows, self.classes] = of_label * (slope / both + self.decay)
        gemm(by_product, w, dx)
        dx += ((of_label * of_x / both)[:, None] * x).astype(dx.dtype, copy=False)

    def state(self) -> bytes:
        """The number of forward passes so far, upon which λ depends."""
        return _ITERATION.pack(self.iteration)

    def set_state(self, state: bytes) -> str:
        if len(state) != _ITERATION.size:
            return "its iteration starts afresh: the one saved is of another layer"
        (self.iteration,) = _ITERATION.unpack(state)
        return ""


@register_layer(
    "LargeMarginInnerProduct", param="largemargin_inner_product_param", origin="Large-margin softmax"
)
class LargeMarginInnerProductLayer(MarginInnerProductLayer):
    """Products of x with weights, y = x wᵀ; that of the label's class by a multiple of their angle.

    For the label, y = (|x| |w| ψ(θ) + λ x·w) / (1 + λ), with ψ, m and λ as in MarginInnerProduct; with SINGLE
    all are plain products. The weights stay as they are, and the gradients are the true ones.

    Bottom: x, (M, K), all axes from `axis` on being K; labels, M of them. Top: y, of the axes of x before
    `axis` and num_output; optionally λ, (1,). Blob: w, (num_output, K). Raises LayerError as
    MarginInnerProduct.
    Paper: Liu et al., "Large-Margin Softmax Loss for Convolutional Neural Networks", 2016 (arXiv 1612.02295).
    Source: wy1iu/LargeMargin_Softmax_Loss src/caffe/layers/largemargin_inner_product_layer.cpp
    """

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self._advance(top)
        x, y, w = bottom[0].data.reshape(self.M, self.K), top[0].data.reshape(self.M, -1), self.weight.data
        gemm(x, w, y, trans_b=True)
        self.classes = self.labels.read(bottom[1], self.param.num_output).copy()
        if self.m > 1:
            place = np.arange(self.M), self.classes
            plain = y[place].astype(np.float64)
            lengths = self._lengths(x), self._lengths(w[self.classes])
            psi, _ = angular_margin(plain / (lengths[0] * lengths[1] + LEAST), self.m)
            y[place] = (lengths[0] * lengths[1] * psi + self.decay * plain) / (1 + self.decay)

    @staticmethod
    def _lengths(rows: Array) -> Array:
        """|x| of each row, in float64."""
        lengths: Array = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1))
        return lengths

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        x, dy, w = bottom[0].data.reshape(self.M, self.K), top[0].diff.reshape(self.M, -1), self.weight.data
        # y of the label is a x·w + b (x·x) + c (w·w) in its gradients: by x, a w + b x; by w, a x + c w.
        by_product, of_x, of_w = dy, None, None
        if self.m > 1:
            place = np.arange(self.M), self.classes
            of_label = w[self.classes]
            plain = np.einsum("mk,mk->m", x, of_label, dtype=np.float64)
            x_length, w_length = self._lengths(x), self._lengths(of_label)
            cosine = plain / (x_length * w_length + LEAST)
            psi, slope = angular_margin(cosine, self.m)
            d = dy[place].astype(np.float64) / (1 + self.decay)
            rest = d * (psi - cosine * slope)
            of_x, of_w = rest * w_length / (x_length + LEAST), rest * x_length / (w_length + LEAST)
            by_product = dy.copy()
            by_product[place] = d * (slope + self.decay)
        if self.param_propagate_down[0]:
            gemm(by_product, x, self.weight.diff, trans_a=True, beta=1)
            if of_w is not None:
                terms = (of_w[:, None] * w[self.classes]).astype(w.dtype, copy=False)
                np.add.at(self.weight.diff, self.classes, terms)
        if propagate_down[0]:
            dx = bottom[0].diff.reshape(self.M, self.K)
            gemm(by_product, w, dx)
            if of_x is not None:
                dx += (of_x[:, None] * x).astype(dx.dtype, copy=False)
