"""Pictures read at other places, and laid over one another: FlowNet's layers, DeconvNet's and others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pycaffe_lite.export.onnx.graph import Shape, count_of
from pycaffe_lite.export.onnx.layer_graph import LayerGraph
from pycaffe_lite.export.onnx.registry import converts, refuses
from pycaffe_lite.layer.vision.correlation import SUBTRACT, Correlation1DLayer, CorrelationLayer
from pycaffe_lite.layer.vision.flow_warp import ZERO, FlowWarpLayer
from pycaffe_lite.layer.vision.mean_field import DenseCRFLayer, MultiStageMeanfieldLayer
from pycaffe_lite.layer.vision.resample import DownsampleLayer, ResampleLayer, ResizedLayer
from pycaffe_lite.layer.vision.spatial_transformer import SpatialTransformerLayer
from pycaffe_lite.layer.vision.unpooling import MAX, TILE, UnpoolingLayer

_GRID_SAMPLE = 16  # the opset that brought it

refuses(
    "it weighs every pixel with every other, again and again, and ONNX has no filter for that",
    DenseCRFLayer,
    MultiStageMeanfieldLayer,
)


@converts(ResampleLayer, DownsampleLayer)
def resample(g: LayerGraph, layer: ResizedLayer[Any]) -> str:
    """`MatMul` by constant weights along the height and the width; with Downsample, NaN spread."""
    if isinstance(layer, DownsampleLayer) and layer.size == layer.planes[1:]:
        return g.x
    y = g.op("MatMul", g.x, g.weight(np.ascontiguousarray(layer.weights(1).T), "columns"))
    return g.op("MatMul", g.weight(layer.weights(0), "rows"), y)


@converts(CorrelationLayer, Correlation1DLayer)
def correlation(g: LayerGraph, layer: CorrelationLayer) -> str:
    """`Pad`, for each displacement `Slice`, `Mul` (or `Sub` and `Abs`) and `ReduceMean`; `AveragePool`."""
    p = layer.param
    k, stride = p.kernel_size, p.stride_1
    _, _, P, Q = (n if isinstance(n, int) else 0 for n in g.top_shapes[0])
    height, width = (P - 1) * stride + k, (Q - 1) * stride + k
    pad_h, pad_w, first_row, first_column = layer.margins()
    a = g.pad(g.bottoms[0], (0, 0, pad_h, pad_w), (0, 0, pad_h, pad_w))
    a = g.slice(a, [first_row, first_column], [first_row + height, first_column + width], [2, 3])
    # A displacement to one side alone may reach beyond the padding.
    over = max(0, -int(layer.moves[:, 1].min()) - first_column)
    b = g.pad(g.bottoms[1], (0, 0, pad_h, pad_w + over), (0, 0, pad_h, pad_w + over))
    planes = []
    for down, right in layer.moves.tolist():
        row, column = first_row + down, first_column + over + right
        other = g.slice(b, [row, column], [row + height, column + width], [2, 3])
        if p.correlation_type == SUBTRACT:
            product = g.op("Abs", g.op("Sub", a, other))
        else:
            product = g.op("Mul", a, other)
        planes.append(g.reduce("Mean", product, [1], keep=True))
    y = g.op("Concat", *planes, axis=1) if len(planes) > 1 else planes[0]
    if k == stride == 1:
        return y
    return g.op("AveragePool", y, kernel_shape=[k, k], strides=[stride, stride])


def _grid_sample(g: LayerGraph, x: str, grid: str, padding: str) -> str:
    """`GridSample`, bilinear, with the corners of the grid on the outer edges of the picture."""
    mode = "linear" if g.opset >= 20 else "bilinear"
    return g.op("GridSample", x, grid, mode=mode, padding_mode=padding, align_corners=0)


def _needs_grid_sample(g: LayerGraph) -> None:
    if g.for_opencv:
        raise g.refuse("OpenCV 5.0 has no GridSample")
    if g.opset < _GRID_SAMPLE:
        raise g.refuse(f"it needs GridSample, of opset {_GRID_SAMPLE}: give --opset {_GRID_SAMPLE} or more")


@converts(FlowWarpLayer)
def flow_warp(g: LayerGraph, layer: FlowWarpLayer) -> str:
    """`Add`, `Transpose` and `GridSample`, of opset 16, and `Where` for what is outside."""
    _needs_grid_sample(g)
    H, W = g.bottom_shapes[1][2:]
    if not isinstance(H, int) or not isinstance(W, int):
        raise g.refuse("its picture has no fixed size")
    here = np.stack([np.tile(np.arange(W), (H, 1)), np.tile(np.arange(H)[:, None], (1, W))])
    at = g.op("Add", g.bottoms[1], g.floats(here[None]))  # column and row
    scale = np.array([2 / W, 2 / H]).reshape(1, 2, 1, 1)
    shift = np.array([1 / W - 1, 1 / H - 1]).reshape(1, 2, 1, 1)
    grid = g.op("Add", g.op("Mul", at, g.floats(scale)), g.floats(shift))
    y = _grid_sample(g, g.x, g.op("Transpose", grid, perm=[0, 2, 3, 1]), "border")
    # Inside is from 0 to before the height or width; a place that is NaN is not.
    size = np.array([W, H]).reshape(1, 2, 1, 1)
    inside = g.op("And", g.op("GreaterOrEqual", at, g.floats(0.0)), g.op("Less", at, g.floats(size)))
    both = g.to_bool(g.reduce("Min", g.to_float(inside), [1], keep=True))
    outside = 0.0 if layer.param.fill_value == ZERO else math.nan
    return g.op("Where", both, y, g.floats(outside))


@converts(SpatialTransformerLayer)
def spatial_transformer(g: LayerGraph, layer: SpatialTransformerLayer) -> str:
    """`MatMul` of a constant grid and the maps, and `GridSample`, of opset 16."""
    _needs_grid_sample(g)
    N, _, H, W = g.bottom_shapes[0]
    _, _, P, Q = g.top_shapes[0]
    if not all(isinstance(n, int) for n in (H, W, P, Q)):
        raise g.refuse("its picture has no fixed size")
    free = g.reshape(g.bottoms[1], (N, len(layer.free)), g.bottom_shapes[1])
    chosen = np.eye(6)[layer.free]
    fixed = np.where(np.isin(np.arange(6), layer.free), 0, layer.fixed)
    theta = g.op("Add", g.op("MatMul", free, g.floats(chosen)), g.floats(fixed[None]))
    maps = g.op("Transpose", g.reshape(theta, (N, 2, 3), (N, 6)), perm=[0, 2, 1])
    s, t = np.meshgrid(*(np.arange(n) / n * 2 - 1 for n in (int(P), int(Q))), indexing="ij")
    points = np.stack([s, t, np.ones_like(s)], axis=-1).reshape(1, -1, 3)
    places = g.op("MatMul", g.floats(points), maps)  # (N, P Q, 2): row and column
    row, column = g.split(places, 2, [1, 1])
    parts = [g.shifted(column, 1 / int(W)), g.shifted(row, 1 / int(H))]
    count = count_of((P, Q))
    grid = g.reshape(g.op("Concat", *parts, axis=2), (N, P, Q, 2), (N, count, 2))
    return _grid_sample(g, g.x, grid, "zeros")


@converts(UnpoolingLayer)
def unpooling(g: LayerGraph, layer: UnpoolingLayer) -> str:
    """`ScatterElements` into zeros for MAX; else `ConvTranspose` of ones and, for AVE, `Mul` by 1 / area."""
    N, C, P, Q = g.top_shapes[0]
    shape = g.bottom_shapes[0]
    H, W = (int(n) for n in shape[2:])
    if layer.param.unpool == MAX:
        plane: Shape = (N, C, count_of((H, W)))
        large: Shape = (N, C, count_of((P, Q)))
        if len(g.bottoms) > 1:
            places = g.to_int(g.reshape(g.bottoms[1], plane))
        else:
            first = layer.first_places().astype(np.int64).reshape(1, 1, -1)
            places = g.op("Expand", g.ints(first), g.shape_vector(plane, g.x, shape))
        empty = g.full(0.0, large, g.x, shape)
        y = g.op("ScatterElements", empty, places, g.reshape(g.x, plane), axis=2)
        return g.reshape(y, (N, C, P, Q), large)
    x = g.x
    if layer.param.unpool != TILE:
        x = g.op("Mul", x, g.weight(1 / layer.areas()[None, None], "areas"))
    kernel, stride, size = (layer.window.kernel_h, layer.window.kernel_w), layer.stride, layer.size
    ones = g.weight(np.ones((int(C), 1, *kernel)), "ones")
    y = g.op("ConvTranspose", x, ones, kernel_shape=kernel, strides=stride, group=int(C))
    made = [(n - 1) * s + k for n, s, k in zip((H, W), stride, kernel, strict=True)]
    more = [max(n - m, 0) for n, m in zip(size, made, strict=True)]
    y = g.pad(y, (0, 0, 0, 0), (0, 0, *more))
    axes = [i + 2 for i in range(2) if made[i] > size[i]]
    return g.slice(y, [0] * len(axes), [size[i - 2] for i in axes], axes)
