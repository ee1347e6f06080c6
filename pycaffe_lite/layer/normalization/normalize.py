"""Normalize: values divided by their norm, as SSD and as happynear's Caffe have it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

NormalizeParameter = caffe_pb2.NormalizeParameter


def _is_happynears(layer: caffe_pb2.LayerParameter) -> bool:
    return not layer.HasField("norm_param")


@register_layer("Normalize", param="norm_param", origin="SSD")
class NormalizeLayer(Layer[NormalizeParameter]):
    """Values divided by their L2 norm and scaled: y = a x / r, with r = sqrt(eps + Σ x²).

    The sum runs over all values of an image, or, with `across_spatial: false`, over the channels of each
    pixel; a is one number, or, with `channel_shared: false`, one for each channel.
    da += Σ dy x / r; dx = a (dy - x (x·dy) / r²) / r, the dot product over the same values as the sum. (Where
    a differs between channels, this is the fork's dx, which is not the gradient.)

    Bottom: x, (N, C, H, W), at most 4 axes. Top: y, the same shape. Blob: a, () or (C,), by `scale_filler`,
    1 by default.
    Raises LayerError for fewer than 2 axes, for another C than at setup, for a parameter of happynear's, and
    in place.
    Paper: Liu, Rabinovich, Berg, "ParseNet", 2015 (arXiv 1506.04579).
    Source: weiliu89/caffe src/caffe/layers/normalize_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        x, p = bottom[0], self.param
        for name in ("normalize_type", "fix_gradient", "bp_norm"):
            if p.HasField(name):
                raise self.error(f"SSD's norm_param has no {name}; it belongs to happynear's normalize_param")
        if len(x.shape) < 2:
            raise self.error(f"needs a bottom of at least 2 axes, got bottom shape {x.shape}")
        self.C = x.channels
        filler = caffe_pb2.FillerParameter(value=1)
        filler.MergeFrom(p.scale_filler)
        self.scale = self.add_blob(() if p.channel_shared else (self.C,), filler)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0]
        if x.channels != self.C:
            raise self.error(f"needs {self.C} channels, got bottom shape {x.shape}")
        top[0].reshape(x.shape)
        self.shape = (x.num, self.C, x.height * x.width)

    def _sum(self, values: Array) -> Array:
        """Sums, in float64, over the values that have one norm: (N, 1, 1) or (N, 1, pixels)."""
        axes = (1, 2) if self.param.across_spatial else 1
        total: Array = values.sum(axis=axes, keepdims=True, dtype=np.float64)
        return total

    def _inverse(self, x: Array) -> Array:
        """1 / r."""
        with np.errstate(divide="ignore"):  # with an eps of 0, of nothing but zeros
            inverse: Array = 1 / np.sqrt(self.param.eps + self._sum(np.square(x, dtype=np.float64)))
        return inverse

    @np.errstate(invalid="ignore")
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].data.reshape(self.shape)
        scale = self.scale.data.astype(np.float64).reshape(1, -1, 1)
        np.multiply(x, self._inverse(x) * scale, out=top[0].data.reshape(self.shape), casting="same_kind")

    @np.errstate(invalid="ignore")
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        x, dy = bottom[0].data.reshape(self.shape), top[0].diff.reshape(self.shape)
        inverse = self._inverse(x)
        if self.param_propagate_down[0]:
            products = (dy * x * inverse).sum(axis=(0, 2), dtype=np.float64)
            self.scale.diff[...] += products.sum() if self.param.channel_shared else products
        if propagate_down[0]:
            scale = self.scale.data.astype(np.float64).reshape(1, -1, 1)
            along = self._sum(np.multiply(x, dy, dtype=np.float64)) * inverse**2
            bottom[0].diff.reshape(self.shape)[...] = scale * inverse * (dy - x * along)


@register_layer("Normalize", param="normalize_param", origin="happynear's Caffe", applies=_is_happynears)
class PixelNormalizeLayer(Layer[NormalizeParameter]):
    """Each pixel divided by the norm of its channels: y = x / r.

    r = sqrt(1e-6 + Σ x²), or with `normalize_type: "L1"` r = 1e-6 + Σ |x|. dx = (dy - g (y·dy)) / r, where
    g = y, or sign(x) with L1; with `bp_norm` the second top's gradient counts as well, + g dr.

    Bottom: x, (N, C, H, W), at most 4 axes. Top: y, always (N, C, H, W); r, (N, 1, H, W), if asked for.
    Raises LayerError for another normalize_type, for fix_gradient, and in place.
    Source: happynear/caffe-windows src/caffe/layers/normalize_layer.cpp
    """

    exact_bottoms = 1
    min_tops, max_tops = 1, 2

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        kind = self.param.normalize_type
        if kind not in ("L1", "L2"):
            raise self.error(f"needs normalize_type 'L1' or 'L2', got '{kind}'")
        if self.param.fix_gradient:
            raise self.error("fix_gradient is not supported")

    def allow_top_gradient(self, top_index: int) -> bool:
        return top_index == 0 or self.param.bp_norm

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0]
        top[0].reshape(x.num, x.channels, x.height, x.width)
        if len(top) > 1:
            top[1].reshape(x.num, 1, x.height, x.width)
        self.shape = (x.num, x.channels, x.height * x.width)

    def _norm(self, x: Array) -> Array:
        """r, (N, 1, pixels), in float64."""
        if self.param.normalize_type == "L1":
            norm: Array = 1e-6 + np.abs(x).sum(axis=1, keepdims=True, dtype=np.float64)
        else:
            norm = np.sqrt(1e-6 + np.square(x, dtype=np.float64).sum(axis=1, keepdims=True))
        return norm

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].data.reshape(self.shape)
        norm = self._norm(x)
        top[0].data.reshape(self.shape)[...] = x / norm
        if len(top) > 1:
            top[1].data.reshape(norm.shape)[...] = norm

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        x, dy = bottom[0].data.reshape(self.shape), top[0].diff.reshape(self.shape)
        norm = self._norm(x)
        y = x / norm
        of_norm = np.sign(x) if self.param.normalize_type == "L1" else y
        dx = (dy - of_norm * (y * dy).sum(axis=1, keepdims=True)) / norm
        if len(top) > 1 and self.param.bp_norm:
            dx += of_norm * top[1].diff.reshape(norm.shape)
        bottom[0].diff.reshape(self.shape)[...] = dx
