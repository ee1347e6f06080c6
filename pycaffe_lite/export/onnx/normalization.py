"""Layers that standardise values, or divide them by the size of their neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from pycaffe_lite.export.onnx.graph import Array
from pycaffe_lite.export.onnx.layer_graph import LayerGraph
from pycaffe_lite.export.onnx.registry import converts, refuses
from pycaffe_lite.export.statistics import averages
from pycaffe_lite.layer.normalization.batch_norm import BatchNormLayer
from pycaffe_lite.layer.normalization.bn import BNLayer, RunningBNLayer, SegNetBNLayer
from pycaffe_lite.layer.normalization.intel_batch_norm import IntelBatchNormLayer
from pycaffe_lite.layer.normalization.lrn import LRNLayer
from pycaffe_lite.layer.normalization.mvn import MVNLayer
from pycaffe_lite.layer.normalization.normalize import NormalizeLayer, PixelNormalizeLayer
from pycaffe_lite.layer.normalization.nvidia_batch_norm import NvidiaBatchNormLayer
from pycaffe_lite.layer.normalization.pixel_norm import ChannelNormLayer, GRNLayer
from pycaffe_lite.layer.normalization.pspnet_batch_norm import PSPNetBatchNormLayer
from pycaffe_lite.proto import caffe_pb2

refuses(
    "in TRAIN it standardises by the batch about a stored mean; export the net's TEST phase",
    PSPNetBatchNormLayer,
)

Pair = tuple[Array, Array]


def _standardised(
    g: LayerGraph,
    x: str,
    statistics: Pair,
    eps: float,
    scale: Array | None = None,
    shift: Array | None = None,
) -> str:
    """`BatchNormalization` by fixed means and variances, (C,) each."""
    mean, variance = statistics
    C = len(mean)
    parts = [
        g.weight(np.ones(C) if scale is None else scale.ravel(), "scale"),
        g.weight(np.zeros(C) if shift is None else shift.ravel(), "bias"),
        g.weight(mean, "mean"),
        g.weight(variance, "variance"),
    ]
    return g.op("BatchNormalization", x, *parts, epsilon=eps)


def _by_batch(g: LayerGraph, x: str, eps: float) -> tuple[str, str, str]:
    """Values standardised by the batch's own statistics, and these, (1, C, 1, ...)."""
    axes = [0, *range(2, len(g.bottom_shapes[0]))]
    mean = g.reduce("Mean", x, axes, keep=True)
    centred = g.op("Sub", x, mean)
    variance = g.reduce("Mean", g.op("Mul", centred, centred), axes, keep=True)
    return g.op("Div", centred, g.op("Sqrt", g.shifted(variance, eps))), mean, variance


def _affine(g: LayerGraph, x: str, layer: BNLayer[Any]) -> str:
    ones = (1,) * (len(g.bottom_shapes[0]) - 2)
    if layer.scale is not None:
        x = g.op("Mul", x, g.weight(layer.scale.data.reshape(-1, *ones), "scale"))
    if layer.shift is not None:
        x = g.op("Add", x, g.weight(layer.shift.data.reshape(-1, *ones), "bias"))
    return x


@converts(BatchNormLayer)
def batch_norm(g: LayerGraph, layer: BatchNormLayer) -> str:
    """`BatchNormalization`; with `use_global_stats: false` `ReduceMean`, `Sub`, `Mul`, `Sqrt` and `Div`."""
    if layer.use_global_stats:
        return _standardised(g, g.x, averages([blob.data for blob in layer.blobs]), layer.param.eps)
    return _by_batch(g, g.x, layer.param.eps)[0]


@converts(IntelBatchNormLayer)
def intel_batch_norm(g: LayerGraph, layer: IntelBatchNormLayer) -> str:
    """`BatchNormalization`, and `Relu` with `relu: true`; with the batch's statistics as BatchNorm."""
    if layer.use_global_stats:
        parts = [None if blob is None else blob.data for blob in (layer.scale, layer.shift)]
        y = _standardised(g, g.x, averages([blob.data for blob in layer.sums]), layer.eps, *parts)
    elif layer.part_size:
        raise g.refuse("stats_batch_size standardises parts of the batch, which TRAIN alone does")
    else:
        y = _affine(g, _by_batch(g, g.x, layer.eps)[0], layer)
    return g.op("Relu", y) if layer.param.relu else y


@converts(NvidiaBatchNormLayer)
def nvidia_batch_norm(g: LayerGraph, layer: NvidiaBatchNormLayer) -> str:
    """`BatchNormalization`; in TRAIN by the batch's statistics."""
    if layer.phase == caffe_pb2.TRAIN:
        return _affine(g, _by_batch(g, g.x, layer.eps)[0], layer)
    statistics = layer.running_mean.data, layer.running_variance.data
    scale, shift = (blob.data for blob in layer.blobs[3:])
    return _standardised(g, g.x, statistics, layer.eps, scale, shift)


@converts(RunningBNLayer)
def running_bn(g: LayerGraph, layer: RunningBNLayer) -> str:
    """`BatchNormalization`; in TRAIN, unless frozen, by the batch's statistics."""
    if layer.phase == caffe_pb2.TRAIN and not layer.param.frozen:
        return _affine(g, _by_batch(g, g.x, layer.eps)[0], layer)
    scale, shift, mean, variance = (blob.data.ravel() for blob in layer.blobs)
    return _standardised(g, g.x, (mean, variance), layer.eps, scale, shift)


@converts(SegNetBNLayer)
def segnet_bn(g: LayerGraph, layer: SegNetBNLayer) -> list[str]:
    """As BatchNorm by the batch's statistics, `Mul` and `Add`; with `bn_mode: INFERENCE` the latter only."""
    C = layer.C
    if layer.is_fixed:
        statistics = [g.floats(np.full((1, C, 1, 1), value)) for value in (0.0, 1 - layer.eps)]
        return [_affine(g, g.x, layer), *statistics][: len(g.top_shapes)]
    y, *moments = _by_batch(g, g.x, layer.eps)
    of = (1, C, *(1,) * (len(g.bottom_shapes[0]) - 2))
    return [_affine(g, y, layer), *(g.reshape(part, (1, C, 1, 1), of) for part in moments)][
        : len(g.top_shapes)
    ]


@converts(LRNLayer)
def lrn(g: LayerGraph, layer: LRNLayer) -> str:
    """`LRN`; within channels `AveragePool` of squares, `Pow` and `Mul`."""
    p = layer.param
    n = p.local_size
    if not layer.within:
        return g.op("LRN", g.x, size=n, alpha=p.alpha, beta=p.beta, bias=p.k)
    mean = g.op(
        "AveragePool", g.op("Mul", g.x, g.x),
        kernel_shape=[n, n], strides=[1, 1], pads=[n // 2] * 4, count_include_pad=1,
    )  # fmt: skip
    size = g.shifted(g.scaled(mean, p.alpha), 1.0)
    return g.op("Mul", g.x, g.op("Pow", size, g.floats(-p.beta)))


@converts(MVNLayer)
def mvn(g: LayerGraph, layer: MVNLayer) -> str:
    """`ReduceMean` and `Sub`; with variances `Mul`, `ReduceMean`, `Sqrt`, `Add` and `Div` as well."""
    axes = [1, 2, 3] if layer.param.across_channels else [2, 3]
    x = g.reshape(g.x, g.top_shapes[0])
    centred = g.op("Sub", x, g.reduce("Mean", x, axes, keep=True))
    if not layer.param.normalize_variance:
        return centred
    variance = g.reduce("Mean", g.op("Mul", centred, centred), axes, keep=True)
    return g.op("Div", centred, g.shifted(g.op("Sqrt", variance), layer.param.eps))


@converts(NormalizeLayer)
def normalize(g: LayerGraph, layer: NormalizeLayer) -> str:
    """`ReduceSumSquare`, `Add`, `Sqrt`, `Div` and `Mul`."""
    rank = len(g.bottom_shapes[0])
    axes = list(range(1, rank)) if layer.param.across_spatial else [1]
    norm = g.op("Sqrt", g.shifted(g.reduce("SumSquare", g.x, axes, keep=True), layer.param.eps))
    factor = layer.scale.data.reshape(-1, *(1,) * (rank - 2))
    return g.op("Mul", g.op("Div", g.x, norm), g.weight(factor, "scale"))


@converts(PixelNormalizeLayer)
def pixel_normalize(g: LayerGraph, layer: PixelNormalizeLayer) -> list[str]:
    """`ReduceSumSquare`, `Add` and `Sqrt`, or `ReduceL1` and `Add`; then `Div`."""
    x = g.reshape(g.x, g.top_shapes[0])
    if layer.param.normalize_type == "L1":
        norm = g.shifted(g.reduce("L1", x, [1], keep=True), 1e-6)
    else:
        norm = g.op("Sqrt", g.shifted(g.reduce("SumSquare", x, [1], keep=True), 1e-6))
    return [g.op("Div", x, norm), norm][: len(g.top_shapes)]


@converts(ChannelNormLayer)
def channel_norm(g: LayerGraph, layer: ChannelNormLayer) -> str:
    """`ReduceSumSquare` and `Sqrt`."""
    x = g.unsqueeze(g.x, range(len(g.bottom_shapes[0]), 4))
    return g.op("Sqrt", g.reduce("SumSquare", x, [1], keep=True))


@converts(GRNLayer)
def grn(g: LayerGraph, layer: GRNLayer) -> str:
    """`ReduceSumSquare`, `Add`, `Sqrt` and `Div`."""
    length = g.op("Sqrt", g.shifted(g.reduce("SumSquare", g.x, [1], keep=True), layer.param.bias))
    return g.op("Div", g.x, length)
