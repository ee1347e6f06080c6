"""Operators that change each value on its own."""

from __future__ import annotations

import math

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import BOOL, FLOATS, Node, operator
from pycaffe_lite.export.importing.operators.arithmetic import add, multiply
from pycaffe_lite.export.importing.values import View

# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: |error| < 1.5e-7.
_ERF_P = 0.3275911
_ERF_A = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


@operator("Identity", "Dropout", "StopGradient")
def identity(node: Node) -> list[View | None]:
    """What changes nothing, at inference."""
    if node.op == "Dropout" and (node.is_used(1) or (node.has(2) and node.constant(2, "mode").any())):
        raise InexpressibleError("it is one of a training", "export the model for inference (eval mode)")
    return [node.view(), None][: len(node.outputs)]


@operator("Cast")
def cast(node: Node) -> View:
    """Another data type: nothing changes, unless fractions are cut off or truth values made of numbers."""
    net, x = node.net, node.view()
    if node.result_kind in FLOATS or node.result_kind == node.kind:
        return x
    if node.result_kind == BOOL:
        return net.same(net.same(x, "AbsVal"), "Threshold")
    is_index = bool(node.readers) and node.readers[0] == {("Gather", 1)}  # Embed cuts fractions off itself
    if node.kind in FLOATS and not is_index:
        raise InexpressibleError(
            "Caffe has no layer that cuts off fractions",
            "end the net before it (--output) and round around the net",
        )
    return x


@operator("Relu")
def relu(node: Node) -> View:
    """max(x, 0)."""
    return node.net.same(node.view(), "ReLU")


@operator("LeakyRelu")
def leaky_relu(node: Node) -> View:
    """x, and alpha x for negative ones."""
    return node.net.same(node.view(), "ReLU", relu_param={"negative_slope": node.attribute("alpha", 0.01)})


@operator("ThresholdedRelu")
def thresholded_relu(node: Node) -> View:
    """The input x where it is above alpha, else 0."""
    x = node.view()
    above = node.net.same(x, "Threshold", threshold_param={"threshold": node.attribute("alpha", 1.0)})
    return node.net.eltwise([x, above], "PROD")


@operator("PRelu")
def prelu(node: Node) -> View:
    """x, and slope x for negative ones; slopes for each channel, or of any other shape."""
    net, x = node.net, node.view()
    slope = node.constant(1, "slope")
    if slope.size == 1:
        return net.same(x, "ReLU", relu_param={"negative_slope": float(slope.ravel()[0])})
    if node.opset < 7 and slope.ndim == 1 and len(x.shape) > 1:  # as older versions have it: of the channels
        slope = slope.reshape(slope.shape + (1,) * (len(x.shape) - 2))
    by_axis = (1,) * (len(x.shape) - slope.ndim) + slope.shape
    if 2 <= len(x.shape) <= 4 and by_axis[1] == slope.size == x.shape[1]:
        blob = net.plain(x)
        return View.of(net.one("PReLU", blob, x.shape, weights=[slope.ravel()], main=True), x.shape)
    positive = net.same(x, "ReLU")
    negative = net.same(net.power(x, scale=-1), "ReLU")
    return add(net, positive, multiply(net, negative, -slope))


@operator("Elu")
def elu(node: Node) -> View:
    """x, and alpha (e^x - 1) for negative ones."""
    return node.net.same(node.view(), "ELU", elu_param={"alpha": node.attribute("alpha", 1.0)})


@operator("Celu")
def celu(node: Node) -> View:
    """x, and alpha (e^(x / alpha) - 1) for negative ones."""
    alpha = node.attribute("alpha", 1.0)
    y = node.net.same(node.net.power(node.view(), scale=1 / alpha), "ELU")
    return node.net.power(y, scale=alpha)


@operator("Selu")
def selu(node: Node) -> View:
    """Gamma x, and gamma alpha (e^x - 1) for negative ones."""
    alpha, gamma = (
        node.attribute("alpha", 1.67326319217681884765625),
        node.attribute("gamma", 1.05070102214813232421875),
    )
    if "SeLU" in node.net.allowed:
        return node.net.same(node.view(), "SeLU", selu_param={"alpha": alpha, "lambda": gamma})
    y = node.net.same(node.view(), "ELU", elu_param={"alpha": alpha})
    return node.net.power(y, scale=gamma)


@operator("Sigmoid")
def sigmoid(node: Node) -> View:
    """1 / (1 + e^-x)."""
    return node.net.same(node.view(), "Sigmoid")


@operator("Tanh")
def tanh(node: Node) -> View:
    """The hyperbolic tangent."""
    return node.net.same(node.view(), "TanH")


@operator("Softplus")
def softplus(node: Node) -> View:
    """ln(1 + e^x)."""
    return node.net.same(node.view(), "BNLL")


@operator("Softsign")
def softsign(node: Node) -> View:
    """The quotient x / (1 + |x|)."""
    net, x = node.net, node.view()
    return net.eltwise([x, net.power(net.same(x, "AbsVal"), power=-1, shift=1)], "PROD")


@operator("HardSigmoid")
def hard_sigmoid(node: Node) -> View:
    """The line alpha x + beta, between 0 and 1."""
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    net, x = node.net, node.view()
    if "HardSigmoid" in net.allowed:
        return net.same(x, "HardSigmoid", hard_sigmoid_param={"alpha": alpha, "beta": beta})
    return net.clip(net.power(x, scale=alpha, shift=beta), 0.0, 1.0)


@operator("HardSwish")
def hard_swish(node: Node) -> View:
    """The product x (x / 6 + 1/2), the factor between 0 and 1."""
    net, x = node.net, node.view()
    if "HardSwish" in net.allowed:
        return net.same(x, "HardSwish")
    return net.eltwise([x, net.clip(net.power(x, scale=1 / 6, shift=0.5), 0.0, 1.0)], "PROD")


@operator("Swish")
def swish(node: Node) -> View:
    """The quotient x / (1 + e^(-alpha x))."""
    net, x = node.net, node.view()
    return net.eltwise([x, net.same(net.power(x, scale=node.attribute("alpha", 1.0)), "Sigmoid")], "PROD")


@operator("Mish")
def mish(node: Node) -> View:
    """The product x tanh(ln(1 + e^x))."""
    net, x = node.net, node.view()
    if "Mish" in net.allowed:
        return net.same(x, "Mish")
    return net.eltwise([x, net.same(net.same(x, "BNLL"), "TanH")], "PROD")


@operator("Gelu")
def gelu(node: Node) -> View:
    """The input times the normal distribution, or its approximation by tanh."""
    net, x = node.net, node.view()
    if node.attribute("approximate", "none") == "tanh":
        cubed = net.power(x, power=3, scale=0.044715 ** (1 / 3))
        inner = net.power(net.eltwise([x, cubed], "SUM"), scale=math.sqrt(2 / math.pi))
        share = net.power(net.same(inner, "TanH"), scale=0.5, shift=0.5)
    else:
        share = net.power(_erf(net, net.power(x, scale=math.sqrt(0.5))), scale=0.5, shift=0.5)
    return net.eltwise([x, share], "PROD")


@operator("Erf")
def erf(node: Node) -> View:
    """The error function."""
    return _erf(node.net, node.view())


def _erf(net: CaffeNet, x: View) -> View:
    """1 - (a1 t + ... + a5 t^5) e^(-x^2) with t = 1 / (1 + p |x|), with the sign of x."""
    size = net.same(x, "AbsVal")
    t = net.power(size, power=-1, scale=_ERF_P, shift=1)
    bell = net.same(net.power(x, power=2), "Exp", exp_param={"scale": -1})
    total = net.power(t, scale=_ERF_A[-1], shift=_ERF_A[-2])
    for a in _ERF_A[-3::-1]:
        total = net.power(net.eltwise([total, t], "PROD"), shift=a)
    rest = net.power(net.eltwise([net.eltwise([total, t], "PROD"), bell], "PROD"), scale=-1, shift=1)
    return net.eltwise([rest, sign_of(net, x)], "PROD")


def sign_of(net: CaffeNet, x: View) -> View:
    """1 for positive values, -1 for negative ones, 0 for 0."""
    above = net.same(x, "Threshold")
    below = net.same(net.power(x, scale=-1), "Threshold")
    return net.eltwise([above, below], "SUM", (1, -1))


@operator("Sign")
def sign(node: Node) -> View:
    """The sign of each value."""
    return sign_of(node.net, node.view())


@operator("Abs")
def absolute(node: Node) -> View:
    """The absolute value."""
    return node.net.same(node.view(), "AbsVal")


@operator("Neg")
def negative(node: Node) -> View:
    """The value with the other sign."""
    return node.net.power(node.view(), scale=-1)


@operator("Exp")
def exponential(node: Node) -> View:
    """The power e^x."""
    return node.net.same(node.view(), "Exp")


@operator("Log")
def logarithm(node: Node) -> View:
    """The natural logarithm."""
    return node.net.same(node.view(), "Log")


@operator("Sqrt")
def square_root(node: Node) -> View:
    """The square root."""
    return node.net.power(node.view(), power=0.5)


@operator("Reciprocal")
def reciprocal(node: Node) -> View:
    """The reciprocal 1 / x."""
    return node.net.power(node.view(), power=-1)


@operator("Clip")
def clip(node: Node) -> View:
    """min(max(x, least), most)."""
    least, most = (_limit(node, name, i) for name, i in (("min", 1), ("max", 2)))
    if least is None and most is None:
        return node.view()
    return node.net.clip(node.view(), least, most)


def _limit(node: Node, name: str, position: int) -> float | None:
    limit = node.setting(name, position)
    if limit is None:
        return None
    limit = float(np.asarray(limit).ravel()[0])
    return None if abs(limit) >= np.finfo(np.float32).max else limit


@operator("Shrink")
def shrink(node: Node) -> View:
    """Values less bias above lambd, plus bias below -lambd, else 0."""
    net, x = node.net, node.view()
    limit, bias = node.attribute("lambd", 0.5), node.attribute("bias", 0.0)
    above = net.same(x, "Threshold", threshold_param={"threshold": limit})
    below = net.same(net.power(x, scale=-1), "Threshold", threshold_param={"threshold": limit})
    parts = (
        net.eltwise([net.power(x, shift=-bias), above], "PROD"),
        net.eltwise([net.power(x, shift=bias), below], "PROD"),
    )
    return net.eltwise(parts, "SUM")
