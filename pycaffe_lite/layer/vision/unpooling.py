"""Unpooling: larger planes from the values of windows, as DeconvNet undoes a pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import pooling, upsample
from pycaffe_lite.kernels.pooling import PoolingWindow
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

UnpoolingParameter = caffe_pb2.UnpoolingParameter
MAX, TILE = UnpoolingParameter.MAX, UnpoolingParameter.TILE


@register_layer("Unpooling", param="unpooling_param", origin="DeconvNet")
class UnpoolingLayer(Layer[UnpoolingParameter]):
    """Values put into larger planes, each where its window was; windows begin at multiples of the stride.

    MAX   y is x at the place that the mask says, or at the window's first one; 0 elsewhere; dx = dy there. Of
          several values for one place the last counts
    AVE   y = Σ x / area over the windows that hold it; dx = Σ dy / area
    TILE  y = Σ x over the windows that hold it; dx = Σ dy / area, in the fork too, which is not the gradient

    Bottom: x, (N, C, H, W); with MAX optionally a mask of the same shape: places within a plane of y, as the
    second top of Pooling gives them; it gets no gradient. Top: y, (N, C, unpool_h, unpool_w).
    Raises LayerError for sizes that are missing or 0, padding, windows that begin outside of y, a mask of
    another shape or with places outside, and in place.
    Paper: Noh, Hong, Han, "Learning Deconvolution Network for Semantic Segmentation", 2015 (arXiv
    1505.04366).
    Source: HyeonwooNoh/caffe src/caffe/layers/unpooling_layer.cpp
    """

    min_bottoms, max_bottoms = 1, 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        p = self.param
        self.kernel = self._pair("kernel", "kernel_size", needed=True)
        self.stride = self._pair("stride", "stride", needed=False)
        self.size = self._pair("unpool", "unpool_size", needed=True)
        if p.pad or p.pad_h or p.pad_w:
            raise self.error("takes no padding, in the fork either")
        if len(bottom) > 1 and p.unpool != MAX:
            raise self.error("takes a mask only for unpool MAX")

    def _pair(self, name: str, square: str, *, needed: bool) -> tuple[int, int]:
        """A size along height and width, given by one field or by two, of 1 or more."""
        p = self.param
        given = [p.HasField(f"{name}_{axis}") for axis in "hw"]
        if any(given) and (not all(given) or p.HasField(square)):
            raise self.error(f"needs either {square}, or {name}_h and {name}_w")
        if needed and not any(given) and not p.HasField(square):
            raise self.error(f"needs {square}, or {name}_h and {name}_w")
        pair = tuple(getattr(p, f"{name}_{axis}") if all(given) else getattr(p, square) for axis in "hw")
        if min(pair) < 1:
            raise self.error(f"needs a {name} of 1 or more, got {pair[0]}x{pair[1]}")
        return pair[0], pair[1]

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0]
        if len(x.shape) != 4:
            raise self.error(f"needs a bottom of 4 axes, got shape {x.shape}")
        if len(bottom) > 1 and bottom[1].shape != x.shape:
            raise self.error(f"needs a mask of the shape of its bottom, got {x.shape} and {bottom[1].shape}")
        for size, count, stride in zip(self.size, x.shape[2:], self.stride, strict=True):
            if self.param.unpool != MAX and (count - 1) * stride >= size:
                raise self.error(
                    f"has windows that begin outside of its top: {count} with stride {stride}, in {size}"
                )
        top[0].reshape(x.num, x.channels, *self.size)
        self.small = (x.num * x.channels, x.height, x.width)
        self.large = (x.num * x.channels, *self.size)
        kernel = [min(k, n) for k, n in zip(self.kernel, self.size, strict=True)]
        self.window = PoolingWindow._make([*kernel, 0, 0, *self.stride])

    def _places(self, bottom: Blobs) -> Array:
        """Where in its plane each value goes, (planes, values), as floats."""
        planes, H, W = self.small
        if len(bottom) > 1:
            return bottom[1].data.reshape(planes, H * W)
        return np.ascontiguousarray(np.broadcast_to(self.first_places(), (planes, H * W)))

    def first_places(self) -> Array:
        """The first place of each window in a plane, as floats."""
        _, H, W = self.small
        rows, columns = (
            np.minimum(np.arange(count) * stride, size - 1)
            for count, stride, size in zip((H, W), self.stride, self.size, strict=True)
        )
        places: Array = (rows[:, None] * self.size[1] + columns).astype(self.dtype).ravel()
        return places

    def areas(self) -> Array:
        """The areas of the windows, (H, W)."""
        lengths = [
            np.minimum(kernel, size - np.arange(count) * stride)
            for kernel, size, count, stride in zip(
                self.kernel, self.size, self.small[1:], self.stride, strict=True
            )
        ]
        return np.outer(*lengths).astype(self.dtype)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = bottom[0].data.reshape(self.small), top[0].data.reshape(self.large)
        if self.param.unpool == MAX:
            flat = x.reshape(self.small[0], -1)
            if outside := upsample.unpool(flat, self._places(bottom), y.reshape(self.small[0], -1)):
                size = f"{self.size[0]}x{self.size[1]}"
                raise self.error(f"needs places within its top's planes of {size}, got {outside} others")
        else:
            pooling.mean_backward(x * self.areas() if self.param.unpool == TILE else x, self.window, y)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        dy, dx = top[0].diff.reshape(self.large), bottom[0].diff.reshape(self.small)
        if self.param.unpool == MAX:
            flat = dx.reshape(self.small[0], -1)
            upsample.pick(dy.reshape(self.small[0], -1), self._places(bottom), flat)
        else:
            pooling.mean_forward(dy, self.window, dx)
