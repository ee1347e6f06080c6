"""Comparisons and choices: truth values are 0 and 1."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import Node, Value, operator
from pycaffe_lite.export.importing.operators.arithmetic import add, multiply, subtract
from pycaffe_lite.export.importing.values import View


def _above(net: CaffeNet, a: Value, b: Value) -> View:
    """1 where a > b, else 0."""
    if isinstance(b, np.ndarray) and b.size == 1 and isinstance(a, View):
        a = net.expanded(a, np.broadcast_shapes(a.shape, b.shape))
        return net.same(a, "Threshold", threshold_param={"threshold": float(b.ravel()[0])})
    if isinstance(a, np.ndarray) and a.size == 1 and isinstance(b, View):
        return _above(net, net.power(b, scale=-1), np.asarray(-a))
    return net.same(subtract(net, a, b), "Threshold")


def _not(net: CaffeNet, x: View) -> View:
    return net.power(x, scale=-1, shift=1)


@operator("Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal")
def compare(node: Node) -> View:
    """1 where the comparison holds, else 0."""
    net, a, b = node.net, node.inputs[0], node.inputs[1]
    if a is None or b is None:
        raise InexpressibleError("an input is missing")
    a, b = (value.astype(np.float32) if isinstance(value, np.ndarray) else value for value in (a, b))
    if node.op == "Greater":
        return _above(net, a, b)
    if node.op == "Less":
        return _above(net, b, a)
    if node.op == "GreaterOrEqual":
        return _not(net, _above(net, b, a))
    if node.op == "LessOrEqual":
        return _not(net, _above(net, a, b))
    return _not(net, net.eltwise([_above(net, a, b), _above(net, b, a)], "SUM"))


@operator("Not")
def negation(node: Node) -> View:
    """1 where there is 0."""
    return _not(node.net, node.view())


@operator("And", "Or", "Xor")
def logic(node: Node) -> View:
    """Both, at least one, exactly one."""
    net, a, b = node.net, node.inputs[0], node.inputs[1]
    if a is None or b is None:
        raise InexpressibleError("an input is missing")
    a, b = (value.astype(np.float32) if isinstance(value, np.ndarray) else value for value in (a, b))
    both = multiply(net, a, b)
    if node.op == "And":
        return both
    return add(net, add(net, a, b), net.power(both, scale=-1 if node.op == "Or" else -2))


@operator("Where")
def choose(node: Node) -> View:
    """One value where the condition holds, else the other: c a + (1 - c) b."""
    net, shape = node.net, node.shape()
    condition, a, b = node.inputs
    for value in (a, b):
        if isinstance(value, np.ndarray) and not np.all(np.isfinite(value)):
            raise InexpressibleError(
                "it chooses between numbers and infinity, which no product of Caffe's layers is"
            )
    if condition is None or a is None or b is None:
        raise InexpressibleError("an input is missing")
    a, b = (value.astype(np.float32) if isinstance(value, np.ndarray) else value for value in (a, b))
    yes: Value = condition.astype(np.float32) if isinstance(condition, np.ndarray) else condition
    no: Value = np.asarray(1 - yes) if isinstance(yes, np.ndarray) else _not(net, yes)
    parts: list[Value] = []
    for share, value in ((yes, a), (no, b)):
        if isinstance(share, np.ndarray) and isinstance(value, np.ndarray):
            parts.append(np.asarray(share * value))
        else:
            parts.append(multiply(net, share, value))
    return net.expanded(add(net, *parts), shape)
