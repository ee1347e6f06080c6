"""Layers that work on each value by itself, and Scale and Bias."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.export.onnx.layer_graph import LayerGraph
from pycaffe_lite.export.onnx.registry import converts
from pycaffe_lite.kernels import constant
from pycaffe_lite.layer.activation.absval import AbsValLayer
from pycaffe_lite.layer.activation.bias import BiasLayer
from pycaffe_lite.layer.activation.bnll import BNLLLayer
from pycaffe_lite.layer.activation.bounded_scale import BoundedScaleLayer
from pycaffe_lite.layer.activation.clip import ClipLayer
from pycaffe_lite.layer.activation.elu import ELULayer
from pycaffe_lite.layer.activation.exp import ExpLayer
from pycaffe_lite.layer.activation.hard_sigmoid import HardSigmoidLayer
from pycaffe_lite.layer.activation.hard_swish import HardSwishLayer
from pycaffe_lite.layer.activation.log import LogLayer
from pycaffe_lite.layer.activation.mish import MishLayer
from pycaffe_lite.layer.activation.neg_relu import NegReLULayer
from pycaffe_lite.layer.activation.power import PowerLayer
from pycaffe_lite.layer.activation.prelu import PReLULayer
from pycaffe_lite.layer.activation.relu import ReLULayer
from pycaffe_lite.layer.activation.relu6 import ReLU6Layer
from pycaffe_lite.layer.activation.scale import ScaleLayer
from pycaffe_lite.layer.activation.selu import SeLULayer
from pycaffe_lite.layer.activation.sigmoid import SigmoidLayer
from pycaffe_lite.layer.activation.swish import SwishLayer
from pycaffe_lite.layer.activation.tanh import TanHLayer
from pycaffe_lite.layer.activation.threshold import ThresholdLayer


@converts(ReLULayer)
def relu(g: LayerGraph, layer: ReLULayer) -> str:
    """`Relu`, or `LeakyRelu` with a negative_slope."""
    return g.leaky(g.x, layer.param.negative_slope)


@converts(ReLU6Layer)
def relu6(g: LayerGraph, layer: ReLU6Layer) -> str:
    """`Clip`; with a negative_slope `LeakyRelu` and `Min`."""
    slope = layer.param.negative_slope
    if slope:
        return g.op("Min", g.leaky(g.x, slope), g.floats(6.0))
    return g.op("Clip", g.x, g.floats(0.0), g.floats(6.0))


@converts(NegReLULayer)
def neg_relu(g: LayerGraph, layer: NegReLULayer) -> str:
    """`Relu` or `LeakyRelu` between two `Neg`."""
    return g.op("Neg", g.leaky(g.op("Neg", g.x), layer.param.negative_slope))


@converts(PReLULayer)
def prelu(g: LayerGraph, layer: PReLULayer) -> str:
    """`PRelu`."""
    rank = len(g.bottom_shapes[0])
    slope = layer.slope.data.reshape(-1, *(1,) * (rank - 2))
    return g.op("PRelu", g.x, g.weight(slope, "slope"))


@converts(ELULayer, SeLULayer)
def elu(g: LayerGraph, layer: ELULayer | SeLULayer) -> str:
    """`Elu`, or `Selu` where there is a lambda."""
    scale = getattr(layer.param, "lambda")
    if scale == 1:
        return g.op("Elu", g.x, alpha=layer.param.alpha)
    return g.op("Selu", g.x, alpha=layer.param.alpha, gamma=scale)


@converts(SigmoidLayer)
def sigmoid(g: LayerGraph, layer: SigmoidLayer) -> str:
    """`Sigmoid`."""
    return g.op("Sigmoid", g.x)


@converts(TanHLayer)
def tanh(g: LayerGraph, layer: TanHLayer) -> str:
    """`Tanh`."""
    return g.tanh(g.x)


@converts(AbsValLayer)
def absval(g: LayerGraph, layer: AbsValLayer) -> str:
    """`Abs`."""
    return g.op("Abs", g.x)


@converts(BNLLLayer)
def bnll(g: LayerGraph, layer: BNLLLayer) -> str:
    """`Softplus`."""
    return g.softplus(g.x)


@converts(PowerLayer)
def power(g: LayerGraph, layer: PowerLayer) -> str:
    """`Mul`, `Add` and `Pow`, as far as the numbers need them."""
    p = layer.param
    if layer.kernels is constant:
        return g.full(layer.numbers()["value"], g.top_shapes[0], g.x, g.bottom_shapes[0])
    inner = g.shifted(g.scaled(g.x, p.scale), p.shift)
    return inner if p.power == 1 else g.op("Pow", inner, g.floats(p.power))


@converts(ExpLayer)
def exp(g: LayerGraph, layer: ExpLayer) -> str:
    """`Exp`, between two `Mul`."""
    return g.scaled(g.op("Exp", g.scaled(g.x, layer.inner)), layer.outer)


@converts(LogLayer)
def log(g: LayerGraph, layer: LogLayer) -> str:
    """`Mul`, `Add`, `Log` and `Mul`."""
    inner = g.shifted(g.scaled(g.x, layer.param.scale), layer.param.shift)
    return g.scaled(g.op("Log", inner), layer.outer)


@converts(ThresholdLayer)
def threshold(g: LayerGraph, layer: ThresholdLayer) -> str:
    """`Greater` and `Cast`."""
    return g.to_float(g.op("Greater", g.x, g.floats(layer.param.threshold)))


@converts(ClipLayer)
def clip(g: LayerGraph, layer: ClipLayer) -> str:
    """`Clip`."""
    return g.op("Clip", g.x, g.floats(layer.param.min), g.floats(layer.param.max))


@converts(SwishLayer)
def swish(g: LayerGraph, layer: SwishLayer) -> str:
    """`Sigmoid` and `Mul`."""
    return g.op("Mul", g.x, g.op("Sigmoid", g.scaled(g.x, layer.param.beta)))


@converts(MishLayer)
def mish(g: LayerGraph, layer: MishLayer) -> str:
    """`Softplus`, `Tanh` and `Mul`."""
    return g.op("Mul", g.x, g.tanh(g.softplus(g.x)))


@converts(HardSigmoidLayer)
def hard_sigmoid(g: LayerGraph, layer: HardSigmoidLayer) -> str:
    """`HardSigmoid`."""
    return g.op("HardSigmoid", g.x, alpha=layer.param.alpha, beta=layer.param.beta)


@converts(HardSwishLayer)
def hard_swish(g: LayerGraph, layer: HardSwishLayer) -> str:
    """`HardSwish`; before opset 14 `HardSigmoid` and `Mul`."""
    if g.opset >= 14:
        return g.op("HardSwish", g.x)
    return g.op("Mul", g.x, g.op("HardSigmoid", g.x, alpha=1 / 6, beta=0.5))


def _laid_over(g: LayerGraph, k: int, axis: int) -> str:
    """Bottom k with axes of length 1 behind its own, so that it lies over the first one from `axis` on."""
    rank, part = len(g.bottom_shapes[0]), g.bottom_shapes[k]
    start = axis % rank if part else 0
    return g.unsqueeze(g.bottoms[k], range(len(part), rank - start))


def _learnt(g: LayerGraph, layer: ScaleLayer | BiasLayer, array: np.ndarray, name: str) -> str:
    """A learnt factor or summand, likewise."""
    rank = len(g.bottom_shapes[0])
    start = layer.param.axis % rank if array.shape else 0
    return g.weight(array.reshape(array.shape + (1,) * (rank - start - array.ndim)), name)


@converts(ScaleLayer)
def scale(g: LayerGraph, layer: ScaleLayer) -> str:
    """`Mul`, and `Add` with bias_term."""
    if len(g.bottoms) > 1:
        factor = _laid_over(g, 1, layer.param.axis)
    else:
        factor = _learnt(g, layer, layer.blobs[0].data, "scale")
    product = g.op("Mul", g.x, factor)
    return product if layer.bias is None else g.op("Add", product, _learnt(g, layer, layer.bias.data, "bias"))


@converts(BoundedScaleLayer)
def bounded_scale(g: LayerGraph, layer: BoundedScaleLayer) -> str:
    """`Mul` by factors within bounds, of a bottom by `Max` and `Min`; and `Add` with bias_term."""
    p = layer.param
    low, high = (getattr(p, name) if p.HasField(name) else None for name in ("min_value", "max_value"))
    if len(g.bottoms) > 1:
        factor = _laid_over(g, 1, p.axis)
        factor = factor if low is None else g.op("Max", factor, g.floats(low))
        factor = factor if high is None else g.op("Min", factor, g.floats(high))
    else:
        s = layer.blobs[0].data
        s = s if low is None else np.maximum(s, s.dtype.type(low))
        s = s if high is None else np.minimum(s, s.dtype.type(high))
        factor = _learnt(g, layer, s, "scale")
    product = g.op("Mul", g.x, factor)
    return product if layer.bias is None else g.op("Add", product, _learnt(g, layer, layer.bias.data, "bias"))


@converts(BiasLayer)
def bias(g: LayerGraph, layer: BiasLayer) -> str:
    """`Add`."""
    if len(g.bottoms) > 1:
        return g.op("Add", g.x, _laid_over(g, 1, layer.param.axis))
    return g.op("Add", g.x, _learnt(g, layer, layer.blobs[0].data, "bias"))
