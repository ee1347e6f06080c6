"""InnerProduct and its forms, Embed, and layers that do something in TRAIN only."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.export.onnx.graph import count_of
from pycaffe_lite.export.onnx.layer_graph import LayerGraph
from pycaffe_lite.export.onnx.registry import converts
from pycaffe_lite.layer.common.dropout import DropoutLayer
from pycaffe_lite.layer.common.embed import EmbedLayer
from pycaffe_lite.layer.common.inner_product import InnerProductLayer
from pycaffe_lite.layer.common.margin_inner_product import (
    LargeMarginInnerProductLayer,
    MarginInnerProductLayer,
)
from pycaffe_lite.layer.common.normalized_inner_product import NormalizedInnerProductLayer
from pycaffe_lite.layer.common.scale_filter import ScaleFilterLayer
from pycaffe_lite.proto import caffe_pb2


@converts(InnerProductLayer)
def inner_product(g: LayerGraph, layer: InnerProductLayer) -> str:
    """`Gemm`, behind `Flatten` or `Reshape` where the bottom is no matrix."""
    return _inner_product(g, layer, g.weight(layer.weight, "weight"))


@converts(NormalizedInnerProductLayer)
def normalized_inner_product(g: LayerGraph, layer: NormalizedInnerProductLayer) -> str:
    """As InnerProduct, with rows of weights of length 1."""
    weight = layer.weight.data.astype(np.float64)
    weight /= np.sqrt(np.square(weight).sum(axis=1, keepdims=True) + 1e-6)
    return _inner_product(g, layer, g.weight(weight, "weight"))


def _inner_product(g: LayerGraph, layer: InnerProductLayer, weight: str) -> str:
    shape = g.bottom_shapes[0]
    rank = len(shape)
    axis = layer.param.axis % rank
    rows = g.op("Flatten", g.x, axis=1) if axis == 1 and rank > 2 else g.flatten_from(g.x, axis)
    bias = [] if layer.bias is None else [g.weight(layer.bias, "bias")]
    product = g.op("Gemm", rows, weight, *bias, transB=0 if layer.param.transpose else 1)
    if axis != 1:
        product = g.reshape(product, g.top_shapes[0], (count_of(shape[:axis]), layer.param.num_output))
    return g.leaky(product, layer.rectifier.slope)


@converts(EmbedLayer)
def embed(g: LayerGraph, layer: EmbedLayer) -> str:
    """`Gather`, and `Add` with bias_term."""
    vectors = g.op("Gather", g.weight(layer.weight, "weight"), g.to_int(g.x), axis=0)
    return vectors if layer.bias is None else g.op("Add", vectors, g.weight(layer.bias, "bias"))


@converts(DropoutLayer)
def dropout(g: LayerGraph, layer: DropoutLayer) -> str:
    """Nothing; `Mul` by 1 - dropout_ratio with `scale_train: false`."""
    if layer.training:
        raise g.refuse("it draws random numbers; export the net's TEST phase")
    return g.scaled(g.x, layer.scale)


@converts(ScaleFilterLayer)
def scale_filter(g: LayerGraph, layer: ScaleFilterLayer) -> str:
    """Nothing."""
    if layer.phase == caffe_pb2.TRAIN:
        raise g.refuse("it draws random numbers; export the net's TEST phase")
    return g.x


@converts(MarginInnerProductLayer, LargeMarginInnerProductLayer)
def margin_inner_product(g: LayerGraph, layer: MarginInnerProductLayer | LargeMarginInnerProductLayer) -> str:
    """`Gemm`, with MarginInnerProduct's weights of length 1, for `type: SINGLE` only."""
    if layer.m > 1 or len(g.top_shapes) > 1:
        raise g.refuse("it mixes angles and products by a share that changes with each training pass")
    weight = layer.weight.data.astype(np.float64)
    if not isinstance(layer, LargeMarginInnerProductLayer):
        weight /= np.sqrt(np.square(weight).sum(axis=1, keepdims=True))
    shape = g.bottom_shapes[0]
    axis = layer.param.axis % len(shape)
    rows = g.flatten_from(g.x, axis)
    product = g.op("Gemm", rows, g.weight(weight, "weight"), transB=1)
    return g.reshape(product, g.top_shapes[0], (count_of(shape[:axis]), layer.param.num_output))
