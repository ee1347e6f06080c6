"""Sums, products and the like of two tensors or more, repeated to a common shape."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import FLOATS, Node, Value, operator
from pycaffe_lite.export.importing.values import Array, Shape, View

# ------------------------------------------------------------------------------------------ with constants


def _spread_constant(net: CaffeNet, view: View, values: Array) -> tuple[View, Array]:
    """The tensor repeated to the shape of both, and the constant in the order of its blob.

    The constant has the blob's axes; those along which it is repeated have the size 1 where that is possible.
    """
    shape = np.broadcast_shapes(view.shape, values.shape)
    view = net.expanded(view, shape)
    own = (1,) * (len(shape) - values.ndim) + values.shape
    values = values.astype(np.float32).reshape(own)
    if view.dims == net.shapes[view.blob]:
        return view, view.to_storage(values)
    return view, view.to_storage(np.broadcast_to(values, shape)).reshape(net.shapes[view.blob])


def _varying(values: Array) -> tuple[int, int]:
    """From which axis to which (exclusive) values differ; (0, 0) if all are equal."""
    axes = []
    for i in range(values.ndim):
        first = values.take([0], axis=i)
        if not np.array_equal(np.broadcast_to(first, values.shape), values, equal_nan=True):
            axes.append(i)
    return (axes[0], axes[-1] + 1) if axes else (0, 0)


def _by_layer(net: CaffeNet, view: View, values: Array, type: str) -> View:
    """A Scale or Bias layer with a constant of the blob's shape, cut to the axes along which it varies."""
    first, last = _varying(values)
    cut = tuple(slice(None) if first <= i < last else 0 for i in range(values.ndim))
    weights = np.broadcast_to(values[cut], net.shapes[view.blob][first:last])
    param: dict[str, int] = {}
    if first != 1:
        param["axis"] = first
    if last - first != 1:
        param["num_axes"] = last - first
    return net.same(view, type, weights=[weights], main=True, **{f"{type.lower()}_param": param})


def add_constant(net: CaffeNet, view: View, values: Array) -> View:
    """The sum x + c: Power for one number, else Bias."""
    view, full = _spread_constant(net, view, values)
    if _varying(full) == (0, 0):
        return net.power(view, shift=float(full.flat[0]))
    return _by_layer(net, view, full, "Bias")


def multiply_constant(net: CaffeNet, view: View, values: Array) -> View:
    """The product c x: Power for one number, else Scale."""
    view, full = _spread_constant(net, view, values)
    if _varying(full) == (0, 0):
        return net.power(view, scale=float(full.flat[0]))
    return _by_layer(net, view, full, "Scale")


# ------------------------------------------------------------------------------------------ of two blobs


def _span(view: View, shape: Shape) -> tuple[int, int] | None:
    """The axes that a smaller tensor has in a larger one's shape, if they are neighbours; else None.

    Axes of size 1 that are to be repeated end the span; those of size 1 in both may belong to it.
    """
    own = (1,) * (len(shape) - len(view.shape)) + view.shape
    repeated = [i for i, (a, b) in enumerate(zip(own, shape, strict=True)) if a != b]
    kept = [i for i, (a, b) in enumerate(zip(own, shape, strict=True)) if a == b]
    if not kept:
        return None
    # The batch counts as kept where it is in both, so that it may change.
    first, last = kept[0], kept[-1] + 1
    while last - first > 1 and own[last - 1] == 1:
        last -= 1
    return None if any(first <= i < last for i in repeated) else (first, last)


def _two_blobs(net: CaffeNet, a: View, b: View, operation: str) -> View:
    """The sum or product of two blobs: Eltwise, or Bias or Scale for one that is smaller."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    if a.shape != shape and b.shape == shape:
        a, b = b, a
    if a.shape == shape == b.shape:
        return net.eltwise([a, b], operation)
    type = {"SUM": "Bias", "PROD": "Scale"}.get(operation)
    if a.shape == shape and type is not None:
        if not a.is_plain:
            return _in_storage(net, a, b, operation)
        span = _span(b, shape)
        if span is not None:
            first, last = span
            own = (1,) * (len(shape) - len(b.shape)) + b.shape
            factor = net.reshape(net.plain(b), own[first:last])
            param = {} if first == 1 else {"axis": first}
            top = net.one(type, [net.plain(a), factor], shape, **{f"{type.lower()}_param": param})
            return View.of(top, shape)
    whole = [v if v.shape == shape else net.expanded(net.plain_view(v), shape) for v in (a, b)]
    return net.eltwise(whole, operation)


def _in_storage(net: CaffeNet, big: View, small: View, operation: str) -> View:
    """The same for a larger tensor whose blob has the axes in another order."""
    own = (1,) * (len(big.shape) - len(small.shape)) + small.shape
    places = [big.place_of(axis) for axis in range(len(big.axes))]
    if None in places:
        return _two_blobs(net, net.plain_view(big), small, operation)
    order = sorted(range(len(places)), key=lambda axis: places[axis] or 0)
    reordered = View.of(net.as_dims(big), big.dims)
    small = small.reshaped(own) or net.plain_view(small).reshaped(own) or small
    result = _two_blobs(net, reordered, small.transposed(order), operation)
    return result.transposed([order.index(i) for i in range(len(order))])


def add(net: CaffeNet, a: Value, b: Value) -> View:
    """The sum of two values, at least one of them no constant."""
    if isinstance(b, np.ndarray):
        a, b = b, a
    if isinstance(a, np.ndarray):
        assert isinstance(b, View)
        return add_constant(net, b, a)
    assert isinstance(b, View)
    return _two_blobs(net, a, b, "SUM")


def multiply(net: CaffeNet, a: Value, b: Value) -> View:
    """The product of two values, at least one of them no constant."""
    if isinstance(b, np.ndarray):
        a, b = b, a
    if isinstance(a, np.ndarray):
        assert isinstance(b, View)
        return multiply_constant(net, b, a)
    assert isinstance(b, View)
    return _two_blobs(net, a, b, "PROD")


def negated(net: CaffeNet, value: Value) -> Value:
    """The value with the other sign."""
    return (
        np.asarray(-value.astype(np.float64)) if isinstance(value, np.ndarray) else net.power(value, scale=-1)
    )


def subtract(net: CaffeNet, a: Value, b: Value) -> View:
    """The difference a - b."""
    if isinstance(a, View) and isinstance(b, View) and a.shape == b.shape:
        return net.eltwise([a, b], "SUM", (1, -1))
    return add(net, a, negated(net, b))


def divide(net: CaffeNet, a: Value, b: Value) -> View:
    """The quotient a / b."""
    if isinstance(b, np.ndarray):
        with np.errstate(divide="ignore"):
            return multiply(net, a, np.asarray(1 / b.astype(np.float64)))
    return multiply(net, a, net.power(b, power=-1))


# ------------------------------------------------------------------------------------------ the operators


def _operands(node: Node) -> tuple[Value, Value]:
    """Two inputs, their axes aligned: until opset 6 an attribute said where the second one's begin."""
    a, b = node.inputs[0], node.inputs[1]
    if a is None or b is None:
        raise InexpressibleError("an input is missing")
    if node.opset < 7 and node.attribute("broadcast", 0) and "axis" in node.given:
        axis = node.axis(node.attribute("axis"))
        shape = b.shape + (1,) * (len(a.shape) - axis - len(b.shape))
        b = b.reshape(shape) if isinstance(b, np.ndarray) else node.net.plain_view(b).reshaped(shape) or b
    return a, b


@operator("Add")
def addition(node: Node) -> View:
    """The sum of two tensors."""
    return add(node.net, *_operands(node))


@operator("Sub")
def subtraction(node: Node) -> View:
    """The difference of two tensors."""
    return subtract(node.net, *_operands(node))


@operator("Mul")
def multiplication(node: Node) -> View:
    """The product of two tensors, value by value."""
    return multiply(node.net, *_operands(node))


@operator("Div")
def division(node: Node) -> View:
    """The quotient of two tensors; not of whole numbers, which ONNX divides without a rest."""
    if node.kind not in FLOATS:
        raise InexpressibleError("it divides whole numbers without a rest, which no layer of Caffe does")
    return divide(node.net, *_operands(node))


@operator("Pow")
def power(node: Node) -> View:
    """The power x^p of one constant p, or c^x of one constant c."""
    x, p = _operands(node)
    net = node.net
    if isinstance(p, np.ndarray) and p.size == 1 and isinstance(x, View):
        return net.expanded(net.power(x, power=float(p.ravel()[0])), node.shape())
    if isinstance(x, np.ndarray) and x.size == 1 and isinstance(p, View) and float(x.ravel()[0]) > 0:
        base = float(x.ravel()[0])
        return net.expanded(net.same(p, "Exp", exp_param={"scale": math.log(base)}), node.shape())
    raise InexpressibleError(
        "Caffe has no layer that raises to powers that are computed, or are different ones"
    )


@operator("Sum")
def total(node: Node) -> View:
    """The sum of all inputs."""
    return _sum(node)


def _sum(node: Node) -> View:
    values = _all_inputs(node)
    shape = node.shape()
    if len(values) > 2 and all(isinstance(value, View) and value.shape == shape for value in values):
        return node.net.eltwise([value for value in values if isinstance(value, View)], "SUM")
    result = reduce(lambda a, b: add(node.net, a, b), values)
    assert isinstance(result, View)
    return result


@operator("Mean")
def mean(node: Node) -> View:
    """The mean of all inputs."""
    return node.net.power(_sum(node), scale=1 / len(node.inputs))


def _all_inputs(node: Node) -> list[Value]:
    """All inputs, those first that are no constants."""
    values = [value for value in node.inputs if value is not None]
    return sorted(values, key=lambda value: isinstance(value, np.ndarray))


def _greatest(net: CaffeNet, a: Value, b: Value, sign: int) -> View:
    """max(a, b), or min(a, b) for the sign -1; b may be a constant."""
    assert isinstance(a, View)
    if isinstance(b, np.ndarray) and b.size == 1:
        limit = float(b.ravel()[0])
        a = net.expanded(a, np.broadcast_shapes(a.shape, b.shape))
        return net.clip(a, limit, None) if sign > 0 else net.clip(a, None, limit)
    shape = np.broadcast_shapes(a.shape, b.shape)
    if isinstance(b, np.ndarray):  # max(x, c) = max(x - c, 0) + c
        rest = subtract(net, a, b) if sign > 0 else subtract(net, b, a)
        rest = net.same(rest, "ReLU")
        return add(net, rest if sign > 0 else net.power(rest, scale=-1), b)
    if sign < 0:
        a, b = net.power(a, scale=-1), net.power(b, scale=-1)
    result = net.eltwise([net.expanded(a, shape), net.expanded(b, shape)], "MAX")
    return result if sign > 0 else net.power(result, scale=-1)


@operator("Max")
def maximum(node: Node) -> View:
    """The greatest of all inputs, value by value."""
    return _extreme(node, 1)


@operator("Min")
def minimum(node: Node) -> View:
    """The least of all inputs, value by value."""
    return _extreme(node, -1)


def _extreme(node: Node, sign: int) -> View:
    result = reduce(lambda a, b: _greatest(node.net, a, b, sign), _all_inputs(node))
    assert isinstance(result, View)
    return result
