"""Convolutions, pooling and what else works on images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pycaffe_lite.export.onnx.graph import Shape, count_of
from pycaffe_lite.export.onnx.layer_graph import LOWEST, LayerGraph
from pycaffe_lite.export.onnx.registry import converts
from pycaffe_lite.layer.vision.base_convolution import BaseConvolutionLayer
from pycaffe_lite.layer.vision.convolution import ConvolutionLayer
from pycaffe_lite.layer.vision.convolution_3d import Convolution3DLayer
from pycaffe_lite.layer.vision.crop import CropLayer
from pycaffe_lite.layer.vision.deconvolution import DeconvolutionLayer
from pycaffe_lite.layer.vision.depthwise_convolution import (
    ConvolutionDepthwiseLayer,
    DepthwiseConvolutionLayer,
)
from pycaffe_lite.layer.vision.im2col import Im2colLayer
from pycaffe_lite.layer.vision.interp import InterpLayer
from pycaffe_lite.layer.vision.nd_convolution import NdConvolutionLayer
from pycaffe_lite.layer.vision.pooling import PoolingLayer
from pycaffe_lite.layer.vision.pooling_volumes import NdPoolingLayer, Pooling3DLayer
from pycaffe_lite.layer.vision.spp import SPPLayer
from pycaffe_lite.layer.vision.unpadded_mean import UnpaddedMeanLayer
from pycaffe_lite.layer.vision.upsample import NearestUpsampleLayer, UnpoolingLayer
from pycaffe_lite.layer.vision.volumes import VolumeConvolutionLayer
from pycaffe_lite.proto import caffe_pb2

Sizes = tuple[int, ...]
_AVE = caffe_pb2.PoolingParameter.AVE
_MAX = caffe_pb2.PoolingParameter.MAX
_LEAST_SUM = float(np.finfo(np.float32).tiny)


# ------------------------------------------------------------------------------------- convolutions


@converts(ConvolutionLayer, DepthwiseConvolutionLayer, ConvolutionDepthwiseLayer)
def convolution(g: LayerGraph, layer: ConvolutionLayer) -> list[str]:
    """`Conv`, one for each bottom."""
    return _convolutions(g, layer, "Conv")


@converts(DeconvolutionLayer)
def deconvolution(g: LayerGraph, layer: DeconvolutionLayer) -> list[str]:
    """`ConvTranspose`, one for each bottom."""
    return _convolutions(g, layer, "ConvTranspose")


def _convolutions(g: LayerGraph, layer: BaseConvolutionLayer, op_type: str) -> list[str]:
    w, weight = layer.window, layer.weight.data
    if not layer.spatial:  # an image of one pixel
        weight = weight.reshape(*weight.shape, 1)
        w = type(w)(kernel=(1,), stride=(1,), pad=(0,), dilation=(1,))
    inputs = [g.weight(weight, "weight")] + ([g.weight(layer.bias, "bias")] if layer.bias is not None else [])
    attributes: dict[str, Any] = {
        "kernel_shape": w.kernel,
        "strides": w.stride,
        "pads": [*w.pad, *w.pad],
        "dilations": w.dilation,
        "group": layer.group,
    }
    results = []
    # OpenCV 5.0 is wrong for padding around kernels of one value.
    pads_before = g.for_opencv and op_type == "Conv" and max(w.kernel) == 1 and any(w.pad)
    if pads_before:
        attributes["pads"] = None
    for x, shape, top in zip(g.bottoms, g.bottom_shapes, g.top_shapes, strict=True):
        images, result = _as_images(shape, layer.axis), _as_images(top, layer.axis)
        x = g.reshape(x, images, shape)
        if pads_before:
            x = g.pad(x, (0, 0, *w.pad), (0, 0, *w.pad))
        y = g.op(op_type, x, *inputs, **attributes)
        results.append(g.leaky(g.reshape(y, top, result), layer.rectifier.slope))
    return results


def _as_images(shape: Shape, axis: int) -> Shape:
    """A shape with one axis before that of the channels, and one behind it at least."""
    batch = shape[:1] if axis == 1 else (count_of(shape[:axis]),)
    return (*batch, *shape[axis:], *((1,) if axis == len(shape) - 1 else ()))


@converts(Convolution3DLayer, NdConvolutionLayer)
def volume_convolution(g: LayerGraph, layer: VolumeConvolutionLayer[Any]) -> str:
    """`Conv`; NdConvolution's axes of length 1 go by `Reshape`."""
    w = layer.window
    inputs = [g.weight(layer.weight, "weight")]
    if layer.bias is not None:
        inputs.append(g.weight(layer.bias.data.reshape(-1), "bias"))
    y = g.op(
        "Conv", g.x, *inputs,
        kernel_shape=w.kernel, strides=w.stride, pads=[*w.pad, *w.pad], dilations=w.dilation,
        group=layer.group,
    )  # fmt: skip
    return g.reshape(y, g.top_shapes[0], (g.bottom_shapes[0][0], *layer.result[1:]))


@converts(Im2colLayer)
def im2col(g: LayerGraph, layer: Im2colLayer) -> str:
    """`Conv` with a kernel of a single 1 for each place under the window."""
    w = layer.window
    shape, axis = g.bottom_shapes[0], layer.axis
    channels, places = int(shape[axis]), math.prod(w.kernel)
    picks = np.tile(
        np.eye(places, dtype=np.float32).reshape(places, 1, *w.kernel), (channels, 1, *(1,) * len(w.kernel))
    )
    images = _as_images(shape, axis)
    y = g.op(
        "Conv", g.reshape(g.x, images), g.weight(picks, "places"),
        kernel_shape=w.kernel, strides=w.stride, pads=[*w.pad, *w.pad], dilations=w.dilation, group=channels,
    )  # fmt: skip
    return g.reshape(y, g.top_shapes[0], _as_images(g.top_shapes[0], axis))


# ------------------------------------------------------------------------------------------ pooling


class _Windows:
    """Where the windows of a pooling lie, axis by axis.

    Args:
        size: of the image. kernel, stride, pad: of the windows. count: how many there are.

    Attributes:
        The same; and extra: how far the last windows reach beyond the padding, along each axis.
    """

    def __init__(self, size: Sizes, kernel: Sizes, stride: Sizes, pad: Sizes, count: Sizes) -> None:
        self.size, self.kernel, self.stride, self.pad, self.count = size, kernel, stride, pad, count
        self.extra = tuple(
            max((n - 1) * s + k - length - 2 * p, 0)
            for length, k, s, p, n in zip(size, kernel, stride, pad, count, strict=True)
        )

    @property
    def after(self) -> Sizes:
        """The padding behind the image that the last windows need."""
        return tuple(p + e for p, e in zip(self.pad, self.extra, strict=True))

    @property
    def is_whole(self) -> bool:
        """Whether there is one window, as large as the image."""
        return self.kernel == self.size and not any(self.pad) and all(n == 1 for n in self.count)

    def attributes(self, *, padded: bool) -> dict[str, Any]:
        """Those of ONNX's operators; `padded`: whether the image has been padded before."""
        pads = None if padded else [*self.pad, *self.after]
        return {"kernel_shape": self.kernel, "strides": self.stride, "pads": pads}

    def areas(self) -> np.ndarray:
        """How many places each window has up to the padding's end, (*count); 0 where there are none."""
        sides = [
            np.maximum(np.minimum(np.arange(n) * s + k, length + 2 * p) - np.arange(n) * s, 0)
            for length, k, s, p, n in zip(
                self.size, self.kernel, self.stride, self.pad, self.count, strict=True
            )
        ]
        area = np.ones(())
        for side in sides:
            area = np.multiply.outer(area, side)
        return area


def _padded(g: LayerGraph, x: str, windows: _Windows, value: float) -> str:
    return g.pad(x, (0, 0, *windows.pad), (0, 0, *windows.after), value)


def _max_pool(g: LayerGraph, x: str, windows: _Windows) -> str:
    """The largest values; floor, with padding at the end as large as the last window needs."""
    if windows.is_whole:
        return g.op("GlobalMaxPool", x)
    # Padding as large as the kernel is refused by MaxPool: a window may lie in it wholly.
    if any(after >= k for after, k in zip(windows.after, windows.kernel, strict=True)):
        return g.op("MaxPool", _padded(g, x, windows, LOWEST), **windows.attributes(padded=True))
    return g.op("MaxPool", x, **windows.attributes(padded=False))


def _mean_pool(g: LayerGraph, x: str, windows: _Windows, areas: np.ndarray) -> str:
    """The means over so many places."""
    if windows.is_whole and areas.item() == math.prod(windows.kernel):
        return g.op("GlobalAveragePool", x)
    padded = _padded(g, x, windows, 0.0)
    y = g.op("AveragePool", padded, **windows.attributes(padded=True))
    factors = np.where(areas > 0, math.prod(windows.kernel) / np.maximum(areas, 1), 0)
    return y if (factors == 1).all() else g.op("Mul", y, g.weight(factors[None, None], "areas"))


@converts(PoolingLayer)
def pooling(g: LayerGraph, layer: PoolingLayer) -> list[str]:
    """`MaxPool` with larger end pads, or `Pad`, `AveragePool` and `Mul` by the kernel's area over Caffe's."""
    return _pooled(g, g.x, layer)


def _pooled(g: LayerGraph, x: str, layer: PoolingLayer) -> list[str]:
    w, count = layer.window, layer.index.shape[1:]
    kernel, pad, stride = (w.kernel_h, w.kernel_w), (w.pad_h, w.pad_w), (w.stride_h, w.stride_w)
    windows = _Windows(layer.plane, kernel, stride, pad, count)
    if layer.pool == _AVE:
        return [_mean_pool(g, x, windows, windows.areas())]
    if layer.pool == _MAX:
        if not layer.gives_indices:
            return [_max_pool(g, x, windows)]
        return _max_pool_with_indices(g, x, windows)
    if layer.phase == caffe_pb2.TRAIN:
        raise g.refuse("STOCHASTIC pooling draws random numbers; export the net's TEST phase")
    whole = np.full(count, math.prod(kernel))
    squares = _mean_pool(g, g.op("Mul", x, x), windows, whole)
    return [g.op("Div", squares, g.shifted(_mean_pool(g, x, windows, whole), _LEAST_SUM))]


def _max_pool_with_indices(g: LayerGraph, x: str, windows: _Windows) -> list[str]:
    """The largest values and their places in their planes; MaxPool counts the places of the whole blob."""
    if any(after >= k for after, k in zip(windows.after, windows.kernel, strict=True)):
        raise g.refuse("a window lies outside of the image, where there is no place to name")
    y, places = g.ops("MaxPool", x, results=2, **windows.attributes(padded=False))
    return [y, g.to_float(g.op("Mod", places, g.ints(math.prod(windows.size))))]


@converts(UnpaddedMeanLayer)
def unpadded_mean(g: LayerGraph, layer: UnpaddedMeanLayer) -> str:
    """`Pad`, `AveragePool` and `Mul` by the kernel's area over the number of values in a window."""
    y = _pooled(g, g.x, layer)[0]
    ratio = layer.ratio.data[:1, :1]
    return y if (ratio == 1).all() else g.op("Mul", y, g.weight(ratio, "ratio"))


@converts(Pooling3DLayer, NdPoolingLayer)
def volume_pooling(g: LayerGraph, layer: Pooling3DLayer | NdPoolingLayer) -> str:
    """`MaxPool`, or `Pad`, `AveragePool` and `Mul`, as Pooling's."""
    size, count = (tuple(int(n) for n in shape[2:]) for shape in (g.bottom_shapes[0], g.top_shapes[0]))
    kernel, pad, stride = (tuple(map(int, row[3 - len(size) :])) for row in layer.window)
    windows = _Windows(size, kernel, stride, pad, count)
    if layer.is_max:
        return _max_pool(g, g.x, windows)
    areas = np.full(count, math.prod(kernel)) if layer.whole else windows.areas()
    return _mean_pool(g, g.x, windows, areas)


@converts(SPPLayer)
def spp(g: LayerGraph, layer: SPPLayer) -> str:
    """Pooling's operators for each level, `Flatten` and `Concat`."""
    pooled = [_pooled(g, g.x, level)[0] for level in layer.levels]
    if len(pooled) == 1:
        return pooled[0]
    return g.op("Concat", *(g.op("Flatten", y, axis=1) for y in pooled), axis=1)


# ----------------------------------------------------------------------------------- other sizes


@converts(CropLayer)
def crop(g: LayerGraph, layer: CropLayer) -> str:
    """`Slice`; the second bottom's size is written into it."""
    starts, ends, axes = [], [], []
    for axis, (part, n, whole) in enumerate(
        zip(layer.part, g.top_shapes[0], g.bottom_shapes[0], strict=True)
    ):
        if part == slice(None) or n == whole:
            continue
        if not isinstance(n, int):
            raise g.refuse(f"axis {axis} is cropped to a length that depends on the batch or on the data")
        starts.append(part.start)
        ends.append(part.start + n)
        axes.append(axis)
    return g.slice(g.x, starts, ends, axes)


@converts(InterpLayer)
def interp(g: LayerGraph, layer: InterpLayer) -> str:
    """`Resize`, linear with aligned corners, behind `Slice` where pads cut something off."""
    p, shape = layer.param, g.bottom_shapes[0]
    x = g.x
    if p.pad_beg or p.pad_end:
        ends = [int(n) + p.pad_end for n in shape[2:]]
        x = g.slice(x, [-p.pad_beg] * 2, ends, [2, 3])
    sizes = g.shape_vector(g.top_shapes[0], g.x, shape)
    return g.resize(x, sizes=sizes, mode="linear", coordinate_transformation_mode="align_corners")


@converts(NearestUpsampleLayer)
def nearest_upsample(g: LayerGraph, layer: NearestUpsampleLayer) -> str:
    """`Resize`, nearest."""
    rank = len(g.bottom_shapes[0])
    scales = g.floats([1.0] * (rank - 2) + [float(layer.scale)] * 2)
    return g.resize(
        g.x, scales=scales,
        mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip


@converts(UnpoolingLayer)
def unpooling(g: LayerGraph, layer: UnpoolingLayer) -> str:
    """`ScatterElements` into zeros."""
    N, C, H, W = g.top_shapes[0]
    shape = g.bottom_shapes[0]
    plane: Shape = (N, C, count_of(shape[2:]))
    places = g.to_int(g.reshape(g.bottoms[1], plane))
    empty = g.full(0.0, (N, C, count_of((H, W))), g.x, shape)
    y = g.op("ScatterElements", empty, places, g.reshape(g.x, plane), axis=2)
    return g.reshape(y, g.top_shapes[0], (N, C, count_of((H, W))))
