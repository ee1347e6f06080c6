"""Products with constant matrices: Caffe's InnerProduct."""

from __future__ import annotations

import math

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import Node, operator
from pycaffe_lite.export.importing.operators.arithmetic import add
from pycaffe_lite.export.importing.operators.attention import product_of
from pycaffe_lite.export.importing.operators.layout import reshaped
from pycaffe_lite.export.importing.values import Array, View


def times_matrix(net: CaffeNet, x: View, w: Array, bias: Array | None = None) -> View:
    """The product x w + b over the last axis of x.

    Where that axis is made of all axes of a blob but the first, in whatever order, the rows of w are put into
    the blob's order: a picture need not be transposed before it is flattened. Where it is the channels of a
    picture, the product is a convolution.

    Args:
        net: where layers go. x: (..., K). w: (K, n). bias: (n,).
    """
    outputs = w.shape[1]
    param: dict[str, object] = {"num_output": outputs}
    weights = [np.ascontiguousarray(w.T)] + ([] if bias is None else [bias])
    if bias is None:
        param["bias_term"] = False
    shape = (*x.shape[:-1], outputs)
    stored = net.shapes[x.blob]
    rows = View(x.blob, x.axes[:-1])
    is_split = (
        len(x.axes) == 2 <= len(stored)
        and stored[0] == x.shape[0]
        and rows.axes[0][0].stride * x.shape[0] == x.count
    )
    if is_split and len(x.axes[0]) == 1:
        inner = View(x.blob, x.axes[1:])
        weights[0] = np.stack([inner.to_storage(row).ravel() for row in weights[0]])
        top = net.one("InnerProduct", x.blob, shape, weights=weights, main=True, inner_product_param=param)
        return View.of(top, shape)
    place = x.place_of(len(x.axes) - 1)
    if place and not x.is_plain:  # a channel of the blob: the product is a convolution of single pixels
        dims = x.dims
        before, behind = math.prod(dims[:place]), math.prod(dims[place + 1 :])
        blob = net.reshape(x.blob, (before, dims[place], behind, 1))
        weights[0] = weights[0][:, :, np.newaxis, np.newaxis]
        fields = param | {"kernel_size": [1]}
        pixels = (before, outputs, behind, 1)
        top = net.one("Convolution", blob, pixels, weights=weights, main=True, convolution_param=fields)
        return View(top, x.resized(len(x.axes) - 1, outputs))
    blob = net.plain(x)
    if len(x.shape) != 2:
        param["axis"] = len(x.shape) - 1
    return View.of(
        net.one("InnerProduct", blob, shape, weights=weights, main=True, inner_product_param=param), shape
    )


@operator("Gemm")
def gemm(node: Node) -> View:
    """The sum alpha a b + beta c, a and b transposed on demand."""
    net = node.net
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    a, b = (
        value.T if isinstance(value, np.ndarray) and node.attribute(key, 0) else value
        for value, key in zip(node.inputs[:2], ("transA", "transB"), strict=True)
    )
    if isinstance(a, View) and node.attribute("transA", 0):
        a = a.transposed((1, 0))
    if isinstance(b, View) and node.attribute("transB", 0):
        b = b.transposed((1, 0))
    c = node.inputs[2] if node.has(2) else None
    if isinstance(a, View) and isinstance(b, np.ndarray):
        bias = None
        if isinstance(c, np.ndarray) and (c.ndim < 2 or c.shape[0] == 1):
            bias, c = np.broadcast_to(c.ravel() * beta, (b.shape[1],)).astype(np.float32), None
        result = times_matrix(net, a, (b * np.float32(alpha)).astype(np.float32), bias)
    else:
        result = net.power(_product(net, a, b), scale=alpha)
    if c is not None:
        result = add(
            net, result, np.asarray(c * beta) if isinstance(c, np.ndarray) else net.power(c, scale=beta)
        )
    return result


@operator("MatMul")
def matmul(node: Node) -> View:
    """A product of matrices, or of stacks of them."""
    a, b = node.inputs[0], node.inputs[1]
    return reshaped(node.net, _product(node.net, a, b), node.shape())


def _product(net: CaffeNet, a: View | Array | None, b: View | Array | None) -> View:
    if a is None or b is None:
        raise InexpressibleError("an input is missing")
    if isinstance(b, np.ndarray) and isinstance(a, View):
        matrix = b[:, np.newaxis] if b.ndim == 1 else b
        if math.prod(matrix.shape[:-2]) == 1:
            return times_matrix(net, a, matrix.reshape(matrix.shape[-2:]).astype(np.float32))
    if isinstance(a, np.ndarray) and isinstance(b, View) and len(b.shape) >= 2:
        matrix = a[np.newaxis] if a.ndim == 1 else a
        if math.prod(matrix.shape[:-2]) == 1:  # a b = (bᵀ aᵀ)ᵀ
            order = [*range(len(b.shape) - 2), len(b.shape) - 1, len(b.shape) - 2]
            made = times_matrix(
                net, b.transposed(order), matrix.reshape(matrix.shape[-2:]).T.astype(np.float32)
            )
            return made.transposed(order)
    views = [
        View.of(net.parameter(v.astype(np.float32)), v.shape) if isinstance(v, np.ndarray) else v
        for v in (a, b)
    ]
    return product_of(net, *views)
