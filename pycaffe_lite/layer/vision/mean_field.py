"""DenseCRF and MultiStageMeanfield: classes of pixels that agree with those of near and like pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import lattice, softmax
from pycaffe_lite.kernels.gemm import gemm
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.without_effect import note_without_effect
from pycaffe_lite.proto import caffe_pb2

SMALLEST = float(np.finfo(np.float32).tiny)


class PixelFilter(NamedTuple):
    """A normalised Gaussian filter over the pixels of an image.

    Attributes:
        lattice: of their features. norm: (pixels,), by which results are multiplied.
    """

    lattice: lattice.Lattice
    norm: Array

    @classmethod
    def of(cls, features: Array, dtype: np.dtype) -> PixelFilter:
        """The filter for features, (pixels, d), of which those at a distance of 1 count e^-1/2."""
        own = lattice.lattice(np.ascontiguousarray(features, np.float32))
        ones, sums = np.ones((1, len(features)), dtype), np.empty((1, len(features)), dtype)
        lattice.filtered(*own, ones, False, sums)
        return cls(own, 1 / (sums[0] + dtype.type(1e-20)))

    def apply(self, x: Array) -> Array:
        """The filter of x, (channels, pixels)."""
        y = np.empty_like(x)
        lattice.filtered(*self.lattice, x, False, y)
        y *= self.norm
        return y

    def gradient(self, dy: Array) -> Array:
        """The gradient by x, from that by its filter."""
        dx = np.empty_like(dy)
        lattice.filtered(*self.lattice, np.ascontiguousarray(dy * self.norm), True, dx)
        return dx


def pixel_features(height: int, width: int, spread: float, image: Array | None, likeness: float) -> Array:
    """Columns and rows over `spread`, and an image's colours, (3, H, W), over `likeness`: (pixels, d)."""
    rows, columns = np.mgrid[:height, :width]
    features = [columns / spread, rows / spread]
    if image is not None:
        features += list(image / likeness)
    return np.stack([f.ravel() for f in features], axis=1)


@register_layer("DenseCRF", param="dense_crf_param", origin="DeepLab and PSPNet")
class DenseCRFLayer(Layer[caffe_pb2.DenseCRFParameter]):
    """Mean field of a fully connected CRF: Q = softmax(x + Σ_k w_k F_k Q), `max_iter` times, from softmax(x).

    F are Gaussian filters over pixels, by place (`pos_xy_std`) with weights `pos_w`, and by place and colour
    (`bi_xy_std`, `bi_rgb_std`) with weights `bi_w`; each gives means. They are approximations by a lattice.

    Bottom: x, (N, C, H, W); (N, 2, ...), the height and width of each picture without its padding; optionally
    the pictures, (N, 3, H, W). Top: the probabilities, (N, C, H, W), or with `output_probability: false`
    their logarithms; 0 in the padding. Runs forward only, as in its fork.
    Raises LayerError for lists of different lengths, pictures without bi_w, and shapes that do not fit.
    Paper: Krähenbühl, Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials",
    2011 (arXiv 1210.5644).
    Source: hszhao/PSPNet src/caffe/layers/densecrf_layer.cpp
    """

    min_bottoms, max_bottoms = 2, 3
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        p = self.param
        if len(p.pos_w) != len(p.pos_xy_std):
            raise self.error("needs as many pos_w as pos_xy_std")
        if not len(p.bi_w) == len(p.bi_xy_std) == len(p.bi_rgb_std):
            raise self.error("needs as many bi_w as bi_xy_std and bi_rgb_std")
        if len(bottom) > 2 and not p.bi_w:
            raise self.error("has pictures, but no bi_w for their colours")
        if any(not std > 0 for std in (*p.pos_xy_std, *p.bi_xy_std, *p.bi_rgb_std)):
            raise self.error("needs a pos_xy_std, bi_xy_std and bi_rgb_std above 0")
        if len(bottom) == 2:
            note_without_effect(self, "bi_w", "bi_xy_std", "bi_rgb_std", because="there are no pictures")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, sizes = bottom[:2]
        if len(x.shape) != 4:
            raise self.error(f"needs scores of shape (N, C, H, W), got {x.shape}")
        if sizes.shape[:1] != x.shape[:1] or sizes.count_axes(1) < 2:
            raise self.error(f"needs a height and a width for each of {x.num} pictures, got {sizes.shape}")
        if len(bottom) > 2 and bottom[2].shape != (x.num, 3, x.height, x.width):
            raise self.error(f"needs pictures of 3 channels and the size of {x.shape}, got {bottom[2].shape}")
        top[0].reshape_like(x)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0]
        top[0].data.fill(0)
        for n, (height, width) in enumerate(bottom[1].data.reshape(x.num, -1)[:, :2].tolist()):
            H, W = x.height, x.width
            if height < H or width < W:  # the picture is padded, and not cropped
                H, W = int(height), int(width)
                if not (0 < H <= x.height and 0 < W <= x.width):
                    raise self.error(f"needs a picture of 1x1 to {x.height}x{x.width}, got {H}x{W}")
            image = bottom[2].data[n, :, :H, :W] if len(bottom) > 2 else None
            Q = self._inferred(np.ascontiguousarray(x.data[n, :, :H, :W]), image)
            if not self.param.output_probability:
                Q = np.log(np.maximum(Q, SMALLEST))
            top[0].data[n, :, :H, :W] = Q

    def _inferred(self, unary: Array, image: Array | None) -> Array:
        """Q, of the shape of the scores, (C, H, W)."""
        p, (C, H, W) = self.param, unary.shape
        features = [
            (w, pixel_features(H, W, std, None, 1)) for w, std in zip(p.pos_w, p.pos_xy_std, strict=True)
        ]
        if image is not None:
            stds = zip(p.bi_w, p.bi_xy_std, p.bi_rgb_std, strict=True)
            features += [(w, pixel_features(H, W, xy, image, rgb)) for w, xy, rgb in stds]
        filters = [(self.dtype.type(w), PixelFilter.of(f, self.dtype)) for w, f in features]
        unary = unary.reshape(C, H * W)
        Q = _softmax(unary)
        for _ in range(p.max_iter):
            energy = unary.copy()
            for w, own in filters:
                energy += w * own.apply(Q)
            Q = _softmax(energy)
        return Q.reshape(C, H, W)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")


def _softmax(x: Array) -> Array:
    """Softmax over the first axis of (C, pixels)."""
    y = np.empty_like(x)
    softmax.forward(x[None], y[None])
    return y


@register_layer("MultiStageMeanfield", param="multi_stage_meanfield_param", origin="CRF-RNN")
class MultiStageMeanfieldLayer(Layer[caffe_pb2.MultiStageMeanfieldParameter]):
    """A CRF's mean field as a recurrent net: q_t+1 = u - W_c (W_s F_s Q + W_b F_b Q), Q = softmax(q_t).

    F_s is a Gaussian filter by place (theta_gamma), F_b one by place and colour (theta_alpha, theta_beta);
    each gives means. They are approximations by a lattice. `num_iterations` times, from q_0.
    All gradients are true; none goes to the picture, or to features.

    Bottom: u, (N, C, H, W); q_0, the same shape, mostly the same blob; pictures, (N, 3, H, W). Top: q, the
    shape of u, not normalised.
    Blobs: W_s, W_b and W_c, (1, 1, C, C). W_c is at first -1 on its diagonal, W_s and W_b have their first
    weights there: those in the files spatial.par and bilateral.par beside the net, a number for each class,
    or spatial_filter_weight and bilateral_filter_weight.
    Raises LayerError for fewer than 2 iterations, for a compatibility_mode that is not POTTS, for thetas not
    above 0, for shapes that do not fit, and in place.
    Paper: Zheng et al., "Conditional Random Fields as Recurrent Neural Networks", 2015 (arXiv 1502.03240).
    Source: Seaball/crfasrnn_newercaffe src/caffe/layers/multi_stage_meanfield.cpp, meanfield_iteration.cpp
    """

    exact_bottoms = 3
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index < 2

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        p = self.param
        if p.num_iterations < 2:
            raise self.error(f"needs num_iterations of 2 or more, got {p.num_iterations}")
        if p.compatibility_mode != p.POTTS:
            raise self.error(
                "needs compatibility_mode POTTS: there is no code for others in the fork, either"
            )
        if not min(p.theta_alpha, p.theta_beta, p.theta_gamma) > 0:
            raise self.error("needs theta_alpha, theta_beta and theta_gamma above 0")
        note_without_effect(self, "threshold")
        self.C = bottom[0].channels
        firsts = (
            self._first("spatial.par", p.spatial_filter_weight),
            self._first("bilateral.par", p.bilateral_filter_weight),
            np.full(self.C, -1.0),
        )
        for first in firsts:
            blob = self.add_blob((1, 1, self.C, self.C))
            if not self.layer_param.blobs:
                blob.data[...] = np.diag(first)
        self.spatial: PixelFilter | None = None
        self.size = (0, 0)

    def _first(self, name: str, otherwise: float) -> Array:
        """The first weight of each class."""
        path = (self.context.folder or Path()) / name
        if not path.is_file():
            return np.full(self.C, otherwise)
        try:
            numbers = np.array(path.read_text().split()[: self.C], np.float64)
        except (OSError, ValueError) as error:
            raise self.error(f"cannot read {path}: {error}") from None
        if len(numbers) < self.C:
            raise self.error(f"needs {self.C} numbers in {path}, got {len(numbers)}")
        return numbers

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        u, first, image = bottom
        if len(u.shape) != 4 or u.channels != self.C or first.shape != u.shape:
            raise self.error(
                f"needs scores of {self.C} classes, (N, {self.C}, H, W), twice, "
                f"got {u.shape} and {first.shape}"
            )
        if image.shape != (u.num, 3, u.height, u.width):
            raise self.error(f"needs pictures of 3 channels and the size of {u.shape}, got {image.shape}")
        self.folded = (u.num, self.C, u.height * u.width)
        if self.spatial is None or self.size != (u.height, u.width):
            self.size = (u.height, u.width)
            self.spatial = None  # until the first pass
        top[0].reshape_like(u)

    def _filters(self, n: int, bottom: Blobs) -> tuple[PixelFilter, PixelFilter]:
        p = self.param
        if self.spatial is None:
            features = pixel_features(*self.size, p.theta_gamma, None, 1)
            self.spatial = PixelFilter.of(features, self.dtype)
        features = pixel_features(*self.size, p.theta_alpha, bottom[2].data[n], p.theta_beta)
        return self.spatial, PixelFilter.of(features, self.dtype)

    def _weights(self) -> list[Array]:
        return [blob.data.reshape(self.C, self.C) for blob in self.blobs]

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        N, _, pixels = self.folded
        u, q, y = (blob.data.reshape(self.folded) for blob in (*bottom[:2], top[0]))
        spatial_weight, bilateral_weight, compatibility = self._weights()
        self.filters = [self._filters(n, bottom) for n in range(N)]
        # Of each image and iteration: Q, both filters of it, and their weighted sum.
        self.steps: list[list[tuple[Array, Array, Array, Array]]] = []
        for n in range(N):
            steps, current = [], q[n]
            for _ in range(self.param.num_iterations):
                Q = _softmax(np.ascontiguousarray(current))
                near, alike = (own.apply(Q) for own in self.filters[n])
                message, current = np.empty_like(Q), np.empty((self.C, pixels), self.dtype)
                gemm(spatial_weight, near, message)
                gemm(bilateral_weight, alike, message, beta=1)
                gemm(compatibility, message, current)
                np.subtract(u[n], current, out=current)
                steps.append((Q, near, alike, message))
            self.steps.append(steps)
            y[n] = current

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[2]:
            raise self.error("has no gradient for its pictures")
        N = self.folded[0]
        spatial_weight, bilateral_weight, compatibility = self._weights()
        dweights = [np.zeros((self.C, self.C), self.dtype) for _ in range(3)]
        dy = top[0].diff.reshape(self.folded)
        for n in range(N):
            d, du = np.ascontiguousarray(dy[n]), np.zeros(self.folded[1:], self.dtype)
            for Q, near, alike, message in reversed(self.steps[n]):
                du += d
                d = -d
                gemm(d, message, dweights[2], trans_b=True, beta=1)
                dmessage = np.empty_like(Q)
                gemm(compatibility, d, dmessage, trans_a=True)
                dQ = np.zeros_like(Q)
                parts = ((spatial_weight, near), (bilateral_weight, alike))
                for i, (weight, filtered) in enumerate(parts):
                    gemm(dmessage, filtered, dweights[i], trans_b=True, beta=1)
                    dfiltered = np.empty_like(Q)
                    gemm(weight, dmessage, dfiltered, trans_a=True)
                    dQ += self.filters[n][i].gradient(dfiltered)
                d = Q * (dQ - (dQ * Q).sum(axis=0))
            for i, gradient in enumerate((du, d)):
                if propagate_down[i]:
                    bottom[i].diff.reshape(self.folded)[n] = gradient
        for blob, gradient, wanted in zip(self.blobs, dweights, self.param_propagate_down, strict=True):
            if wanted:
                blob.diff[...] += gradient.reshape(blob.shape)
