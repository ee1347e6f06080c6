"""Resample and Downsample: FlowNet's pictures of another size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import sampling
from pycaffe_lite.layer.base import Blobs, Layer, P
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.without_effect import note_without_effect
from pycaffe_lite.proto import caffe_pb2

ResampleParameter = caffe_pb2.ResampleParameter


class ResizedLayer(Layer[P]):
    """A top of another size than its bottom: that of a second bottom, or the one in the parameters."""

    min_bottoms: ClassVar[int | None] = 1
    max_bottoms: ClassVar[int | None] = 2
    exact_tops: ClassVar[int | None] = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)

    def given_size(self) -> tuple[int, int]:
        """The height and width in the parameters."""
        raise NotImplementedError

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0]
        P, Q = (bottom[1].height, bottom[1].width) if len(bottom) > 1 else self.given_size()
        if min(P, Q, x.height, x.width) < 1:
            raise self.error(
                f"needs the size of its top, as a second bottom or in its parameters, of at least 1, got "
                f"{P}x{Q} for bottom shape {x.shape}"
            )
        top[0].reshape(x.num, x.channels, P, Q)
        self.planes = (x.num * x.channels, x.height, x.width)
        self.size = (P, Q)

    def _resize(self, x: Array, y: Array) -> None:
        """Gives y, (planes, P, Q), what x, (planes, H, W), is at another size; or the first part of that."""
        raise NotImplementedError

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        y = top[0].data.reshape(self.planes[0], *self.size)
        self._resize(bottom[0].data.reshape(self.planes), y)

    def weights(self, axis: int) -> Array:
        """The matrix, (outputs, inputs), with which a picture is resized along its height, 0, or width, 1."""
        matrix = np.empty((self.size[axis], self.planes[1 + axis]))
        x = np.zeros((1, *self.planes[1:]))
        y = np.empty((1, len(matrix), 1) if axis == 0 else (1, 1, len(matrix)))
        for i, line in enumerate(np.moveaxis(x[0], axis, 0)):
            line[...] = 1
            self._resize(x, y)
            matrix[:, i] = y.ravel()
            line[...] = 0
        return matrix

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")


@register_layer("Resample", param="resample_param", origin="FlowNet")
class ResampleLayer(ResizedLayer[ResampleParameter]):
    """Pictures of another size, by NEAREST, LINEAR or CUBIC interpolation; the edges lie on the edges.

    y[p] lies at p H/P + (H/P - 1)/2 along an axis, where the fork takes the width's factor for the last term
    of the height, and the height's for the width. Where the picture becomes smaller, by `antialias` more
    values count.

    Bottom: x, (N, C, H, W); optionally one whose height and width are those of y. Top: y, (N, C, P, Q). Runs
    forward only, as in its fork.
    Raises LayerError for no size, for type AREA, and in place.
    Source: lmb-freiburg/flownet2 src/caffe/layers/resample_layer.cpp and .cu
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if self.param.type == ResampleParameter.AREA:
            raise self.error("needs type NEAREST, LINEAR or CUBIC: its fork has no AREA, either")
        note_without_effect(self, "factor")

    def given_size(self) -> tuple[int, int]:
        return self.param.height, self.param.width

    def _resize(self, x: Array, y: Array) -> None:
        p, (_, H, W) = self.param, x.shape
        by_h, by_w = (np.float32(size) / np.float32(to) for size, to in zip((H, W), self.size, strict=True))
        rows = _places(self.size[0], by_h, by_w)[: y.shape[1]]
        columns = _places(self.size[1], by_w, by_h)[: y.shape[2]]
        if p.type == ResampleParameter.NEAREST:
            nearest = [
                _rounded(at).clip(0, size - 1) for at, size in zip((rows, columns), (H, W), strict=True)
            ]
            y[...] = x[:, nearest[0][:, None], nearest[1]]
            return
        smooths = p.antialias and (by_h > 1 or by_w > 1)
        is_cubic = p.type == ResampleParameter.CUBIC
        shrink_h, shrink_w = (float(by) if smooths else 1.0 for by in (by_h, by_w))
        width = 4 if is_cubic else 2
        reach_h = 2 if by_h < 1 else math.ceil(width * shrink_h)
        reach_w = 2 if by_w < 1 else math.ceil(width * shrink_w)
        kind = sampling.CUBIC if is_cubic else sampling.LINEAR
        sampling.resample(x, kind, rows, columns, shrink_h, shrink_w, reach_h, reach_w, y)


def _places(outputs: int, by: np.float32, other: np.float32) -> Array:
    """Where the outputs lie among the inputs along an axis that shrinks by `by`, in float32."""
    places: Array = np.arange(outputs, dtype=np.float32) * by + other / np.float32(2) - np.float32(0.5)
    return places


def _rounded(places: Array) -> Array:
    """Halves away from 0, as C's round."""
    rounded: Array = (np.sign(places) * np.floor(np.abs(places) + np.float32(0.5))).astype(np.int64)
    return rounded


@register_layer("Downsample", param="downsample_param", origin="FlowNet")
class DownsampleLayer(ResizedLayer[caffe_pb2.DownsampleParameter]):
    """Smaller pictures, of weighted means, with the corners on the corners; NaN do not count.

    Along an axis y[p] lies at p s, s = (H - 1)/(P - 1), and a value at distance d counts 1 - d/s. Where more
    than half as much is NaN as there is not, y is NaN. At the same size, y is x.

    Bottom: x, (N, C, H, W); optionally one whose height and width are those of y. Top: y, (N, C, P, Q). Runs
    forward only, as in its fork.
    Raises LayerError for no size, for a size of 1 (where the fork divides by 0), and in place.
    Source: lmb-freiburg/flownet2 src/caffe/layers/downsample_layer.cpp and .cu
    """

    def given_size(self) -> tuple[int, int]:
        return self.param.top_height, self.param.top_width

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        size, to = self.planes[1:], top[0].shape[2:]
        if size != to and (1 in to or 1 in size):
            raise self.error(f"needs heights and widths of 2 or more, got {size} and {to}")

    def _resize(self, x: Array, y: Array) -> None:
        if x.shape == y.shape:
            np.copyto(y, x)
            return
        (H, W), (P, Q) = x.shape[1:], self.size
        by_h, by_w = (H - 1) / (P - 1), (W - 1) / (Q - 1)
        sampling.downsample(x, np.arange(y.shape[1]) * by_h, np.arange(y.shape[2]) * by_w, by_h, by_w, y)
