"""Upsample, in both meanings: SegNet's, which undoes a pooling, and YOLO's, which repeats each value."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels import upsample
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


def _undoes_a_pooling(layer: caffe_pb2.LayerParameter) -> bool:
    return len(layer.bottom) == 2


@register_layer("Upsample", param="upsample_param", origin="SegNet", applies=_undoes_a_pooling)
class UnpoolingLayer(Layer[caffe_pb2.UpsampleParameter]):
    """Values put back where a pooling took them from: y[n, c, mask[i]] = x[n, c, i], 0 elsewhere.

    dx[i] = dy[mask[i]]; where several values have one place, the last one counts.

    Bottom: x, (N, C, H, W); mask, the same shape: places within a plane of y, as the second top of Pooling
    gives them; it gets no gradient. Top: y, (N, C, upsample_h, upsample_w), or H and W times the scale (2 if
    none is given), with pad_out_h and pad_out_w one less.
    Raises LayerError for sizes that are not given in one of these ways, unequal bottoms, a place that is not
    in the plane, and in place.
    Source: alexgkendall/caffe-segnet src/caffe/layers/upsample_layer.cpp
    """

    exact_bottoms = 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        p = self.param
        if p.HasField("upsample_h") != p.HasField("upsample_w"):
            raise self.error("needs both of upsample_h and upsample_w, or neither")
        if p.HasField("scale_h") != p.HasField("scale_w"):
            raise self.error("needs both of scale_h and scale_w, or neither")
        scale = p.scale if p.HasField("scale") else 2
        self.scale = (p.scale_h, p.scale_w) if p.HasField("scale_h") else (scale, scale)
        for name, size, less in zip("hw", self.scale, (p.pad_out_h, p.pad_out_w), strict=True):
            if size < 2 and not p.HasField("upsample_h"):
                raise self.error(f"needs a scale of 2 or more, got {size}")
            if less and size != 2:
                raise self.error(f"needs a scale of 2 for pad_out_{name}, got {size}")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, p = bottom[0], self.param
        if x.shape != bottom[1].shape:
            raise self.error(f"needs bottoms of one shape, got {x.shape} and {bottom[1].shape}")
        height, width = p.upsample_h, p.upsample_w
        if not p.HasField("upsample_h"):
            height = x.height * self.scale[0] - p.pad_out_h
            width = x.width * self.scale[1] - p.pad_out_w
        top[0].reshape(x.num, x.channels, height, width)
        self.planes = (x.num * x.channels, x.height * x.width)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, mask = (blob.data.reshape(self.planes) for blob in bottom)
        if outside := upsample.unpool(x, mask, top[0].data.reshape(self.planes[0], -1)):
            size = f"{top[0].height}x{top[0].width}"
            raise self.error(f"needs places within its top's planes of {size}, got {outside} others")

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            mask, dx = bottom[1].data.reshape(self.planes), bottom[0].diff.reshape(self.planes)
            upsample.pick(top[0].diff.reshape(self.planes[0], -1), mask, dx)


@register_layer("Upsample", param="upsample_param", origin="MobileNet-YOLO")
class NearestUpsampleLayer(Layer[caffe_pb2.UpsampleParameter]):
    """Each value repeated: y[..., h, w] = x[..., h / scale, w / scale], rounded down; dx sums up each block.

    Bottom: x, (N, C, H, W). Top: y, (N, C, H scale, W scale).
    Raises LayerError for a scale of 0, fewer than 2 axes, and in place.
    Source: eric612/MobileNet-YOLO src/caffe/layers/upsample_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        self.scale = self.param.scale if self.param.HasField("scale") else 1
        if self.scale < 1:
            raise self.error(f"needs a scale of 1 or more, got {self.scale}")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) < 2:
            raise self.error(f"needs a bottom of 2 axes or more, got shape {shape}")
        self.small = (-1, *shape[-2:])
        self.large = (-1, shape[-2] * self.scale, shape[-1] * self.scale)
        top[0].reshape((*shape[:-2], *self.large[1:]))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        upsample.repeat(bottom[0].data.reshape(self.small), self.scale, top[0].data.reshape(self.large))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            dx = bottom[0].diff.reshape(self.small)
            upsample.sum_blocks(top[0].diff.reshape(self.large), self.scale, dx)
