"""Normalisation by stored statistics, by those of the values themselves, and softmax."""

from __future__ import annotations

import math

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import Node, Value, operator
from pycaffe_lite.export.importing.operators.arithmetic import add, divide, multiply, subtract
from pycaffe_lite.export.importing.operators.layout import reshaped
from pycaffe_lite.export.importing.operators.reduction import summed
from pycaffe_lite.export.importing.values import View


@operator("BatchNormalization")
def batch_normalization(node: Node) -> list[View | None]:
    """(x - mean) / √(var + ε) by stored statistics, then scaled and shifted: BatchNorm and Scale."""
    net, x = node.net, node.view()
    if node.attribute("training_mode", 0) or node.is_used(1):
        raise InexpressibleError("it is one of a training", "export the model for inference (eval mode)")
    scale, bias, mean, variance = (
        node.constant(i, what).astype(np.float32)
        for i, what in ((1, "scale"), (2, "bias"), (3, "mean"), (4, "variance"))
    )
    place = x.place_of(1) if len(x.shape) > 1 else None
    if place != 1:
        x = net.plain_view(x)
    blob = net.as_dims(x)
    shape = net.shapes[blob]
    if len(shape) < 2:
        raise InexpressibleError(f"it normalises a tensor of shape {x.shape}")
    param = {} if (eps := node.attribute("epsilon", 1e-5)) == np.float32(1e-5) else {"eps": eps}
    statistics = [mean, variance, np.ones(1)]
    blob = net.one("BatchNorm", blob, shape, weights=statistics, main=True, batch_norm_param=param)
    blob = net.one("Scale", blob, shape, weights=[scale, bias], scale_param={"bias_term": True})
    return [x.with_blob(blob), *[None] * (len(node.outputs) - 1)]


def normalised(net: CaffeNet, blob: str, eps: float) -> str:
    """(x - mean) / √(var + ε) with the statistics of each channel of a (1, C, ...) blob itself.

    BatchNorm with the statistics of its input has ε under the root, as ONNX has it; MVN has it beside.
    """
    shape = net.shapes[blob]
    zeros = np.zeros(shape[1])
    param = {"use_global_stats": False, "eps": eps}
    return net.one(
        "BatchNorm", blob, shape, weights=[zeros, zeros, np.zeros(1)], main=True, batch_norm_param=param
    )


@operator("InstanceNormalization")
def instance_normalization(node: Node) -> View:
    """Each channel of each item normalised by its own statistics, scaled and shifted."""
    net, x = node.net, node.view()
    shape, count = x.shape, math.prod(x.shape[2:])
    y = _by_groups(net, x, shape[0] * shape[1], count, node.attribute("epsilon", 1e-5))
    return _affine(net, y, node.inputs[1], node.inputs[2], (1, shape[1], *[1] * (len(shape) - 2)))


@operator("GroupNormalization")
def group_normalization(node: Node) -> View:
    """Each group of channels of each item normalised by its own statistics, scaled and shifted."""
    net, x, groups = node.net, node.view(), node.attribute("num_groups")
    shape = x.shape
    y = _by_groups(net, x, shape[0] * groups, x.count // (shape[0] * groups), node.attribute("epsilon", 1e-5))
    scale, bias = node.constant(1, "scale"), node.constant(2, "bias")
    if scale.size != shape[1]:  # of opset 18: one for each group
        scale, bias = (np.repeat(values, shape[1] // groups) for values in (scale, bias))
    return _affine(net, y, scale, bias, (1, shape[1], *[1] * (len(shape) - 2)))


@operator("LayerNormalization")
def layer_normalization(node: Node) -> list[View | None]:
    """The last axes normalised by their own statistics, scaled and shifted."""
    net, x = node.net, node.view()
    if node.is_used(1) or node.is_used(2):
        raise InexpressibleError("its statistics are used")
    axis = node.axis(node.attribute("axis", -1))
    outer, eps = math.prod(x.shape[:axis]), node.attribute("epsilon", 1e-5)
    if x.is_plain:
        y = _by_groups(net, x, outer, x.count // outer, eps)
    else:  # channels, say, that are last here and first in the blob
        axes = list(range(axis, len(x.shape)))
        centred = subtract(net, x, summed(net, x, axes, keep=True, mean=True))
        variance = summed(net, net.power(centred, power=2), axes, keep=True, mean=True)
        y = multiply(net, centred, net.power(variance, power=-0.5, shift=eps))
    scale = node.inputs[1]
    bias = node.inputs[2] if node.has(2) else None
    y = multiply(net, y, scale) if scale is not None else y
    y = add(net, y, bias) if bias is not None else y
    return [y, None, None][: len(node.outputs)]


def _by_groups(net: CaffeNet, x: View, groups: int, count: int, eps: float) -> View:
    """So many groups of values that lie together, each normalised."""
    blob = net.reshape(net.plain(x), (1, groups, count, 1))
    return View.of(net.reshape(normalised(net, blob, eps), x.shape), x.shape)


def _affine(net: CaffeNet, y: View, scale: Value | None, bias: Value | None, shape: tuple[int, ...]) -> View:
    if not isinstance(scale, np.ndarray) or not isinstance(bias, np.ndarray):
        raise InexpressibleError("its scale or bias is computed from the net's input")
    return add(net, multiply(net, y, scale.reshape(shape)), bias.reshape(shape))


@operator("RMSNormalization")
def rms_normalization(node: Node) -> View:
    """The quotient x / √(mean of x² + ε) over the last axes, scaled."""
    net, x = node.net, node.view()
    axis = node.axis(node.attribute("axis", -1))
    axes = list(range(axis, len(x.shape)))
    mean = summed(net, net.power(x, power=2), axes, keep=True, mean=True)
    y = multiply(net, x, net.power(mean, power=-0.5, shift=node.attribute("epsilon", 1e-5)))
    scale = node.inputs[1]
    return y if scale is None else multiply(net, y, scale)


@operator("MeanVarianceNormalization")
def mean_variance_normalization(node: Node) -> View:
    """(x - mean) / √(var) over some axes."""
    net, x = node.net, node.view()
    axes = sorted(node.axis(axis) for axis in node.attribute("axes") or [0, 2, 3])
    mean = summed(net, x, axes, keep=True, mean=True)
    centred = add(net, x, net.power(mean, scale=-1))
    variance = summed(net, net.power(centred, power=2), axes, keep=True, mean=True)
    return multiply(net, centred, net.power(net.power(net.power(variance, power=0.5), shift=1e-9), power=-1))


# Added to a norm, so that values which are all 0 stay 0; lost in any other norm.
_LEAST_NORM = 1e-37


@operator("LpNormalization")
def lp_normalization(node: Node) -> View:
    """Values over their norm along an axis."""
    net, x, p = node.net, node.view(), node.attribute("p", 2)
    axis = node.axis(node.attribute("axis", -1))
    powers = net.same(x, "AbsVal") if p == 1 else net.power(x, power=2)
    norm = summed(net, powers, [axis], keep=True)
    return divide(net, x, net.power(norm, power=1 / p, shift=_LEAST_NORM))


@operator("LRN")
def local_response_normalization(node: Node) -> View:
    """The quotient x / (bias + alpha / size Σ x²)^beta over neighbouring channels."""
    net, x, size = node.net, node.view(), node.attribute("size")
    if size % 2 == 0 or len(x.shape) != 4:
        raise InexpressibleError(
            f"it sums {size} channels of a tensor of shape {x.shape}; Caffe needs an odd number"
        )
    param = {
        "local_size": size,
        "alpha": node.attribute("alpha", 1e-4),
        "beta": node.attribute("beta", 0.75),
        "k": node.attribute("bias", 1.0),
    }
    return View.of(net.one("LRN", net.plain(x), x.shape, main=True, lrn_param=param), x.shape)


@operator("Softmax", "LogSoftmax")
def softmax(node: Node) -> View:
    """e^x over its sum along an axis; until opset 12 along all axes from that one on."""
    net, x = node.net, node.view()
    axis = node.axis(node.attribute("axis", -1 if node.opset >= 13 else 1))
    if node.opset < 13 and math.prod(x.shape[axis + 1 :]) != 1:
        flat = reshaped(net, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))
        y = reshaped(net, _softmax(net, flat, 1), x.shape)
    else:
        y = _softmax(net, x, axis)
    return net.same(y, "Log") if node.op == "LogSoftmax" else y


def _softmax(net: CaffeNet, x: View, axis: int) -> View:
    place = x.place_of(axis)
    if place is None:
        x, place = net.plain_view(x), axis
    blob = net.as_dims(x)
    param = {} if place == 1 else {"axis": place}
    return x.with_blob(net.one("Softmax", blob, net.shapes[blob], main=True, softmax_param=param))
