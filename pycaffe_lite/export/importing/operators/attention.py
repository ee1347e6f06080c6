"""Products of two blobs, as attention has them: Caffe multiplies value by value, and sums."""

from __future__ import annotations

import math

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import Node, operator
from pycaffe_lite.export.importing.operators.layout import reshaped
from pycaffe_lite.export.importing.values import View

# Values of all single products at once, and what they take: 256 MB.
_MOST_PRODUCTS = 2**26


def product_of(net: CaffeNet, a: View, b: View) -> View:
    """The products of two stacks of matrices: (..., M, K) and (..., K, N).

    Both are repeated to (..., M, N, K), multiplied value by value and summed over K.
    """
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise InexpressibleError("it multiplies a vector that is computed by what is computed, too")
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    (m, k), n = a.shape[-2:], b.shape[-1]
    a, b = net.expanded(a, (*stack, m, k)), net.expanded(b, (*stack, k, n))
    count = math.prod(stack)
    if count * m * n * k > _MOST_PRODUCTS:
        raise InexpressibleError(
            f"it multiplies matrices that are both computed, {m} x {k} and {k} x {n}: Caffe has no layer for "
            "that, and value by value it would take too much memory",
            "end the net before it (--output) and do it in the program around the net",
        )
    last = len(b.shape) - 1
    b = b.transposed([*range(last - 1), last, last - 1])
    left = View.of(net.reshape(net.plain(a), (count, m, 1, k)), (count, m, 1, k))
    right = View.of(net.reshape(net.plain(b), (count, 1, n, k)), (count, 1, n, k))
    products = net.eltwise([net.tile(left, 2, n), net.tile(right, 1, m)], "PROD")
    sums = net.one("Reduction", products.blob, (count, m, n), reduction_param={"axis": 3})
    return View.of(net.reshape(sums, (*stack, m, n)), (*stack, m, n))


@operator("Einsum")
def einsum(node: Node) -> View:
    """A sum of products that is a product of matrices, told by letters: "bhwc,bkc->bhwk"."""
    from pycaffe_lite.export.importing.operators.linear import times_matrix

    net = node.net
    equation = str(node.attribute("equation", "")).replace(" ", "")
    parts, _, result = equation.partition("->")
    terms = parts.split(",")
    if (
        len(terms) != 2
        or "." in equation
        or not result
        or any(len(set(t)) != len(t) for t in (*terms, result))
    ):
        raise InexpressibleError(f"there are layers only for products of matrices, not for '{equation}'")
    left, right = terms
    both = [c for c in left if c in right and c in result]
    summed = [c for c in left if c in right and c not in result]
    rows = [c for c in left if c not in right]
    columns = [c for c in right if c not in left]
    if any(c not in result for c in (*rows, *columns)):
        raise InexpressibleError(f"there are layers only for products of matrices, not for '{equation}'")
    a, b = node.inputs[0], node.inputs[1]
    if isinstance(a, np.ndarray) and not isinstance(b, np.ndarray):
        a, b, left, right, rows, columns = b, a, right, left, columns, rows
    assert isinstance(a, View)
    sizes = dict(zip(left, a.shape, strict=True)) | dict(
        zip(right, b.shape if b is not None else (), strict=True)
    )
    made = [*both, *rows, *columns]
    a = a.transposed([left.index(c) for c in (*both, *rows, *summed)])
    m, k, n = (math.prod(sizes[c] for c in letters) for letters in (rows, summed, columns))
    stack = tuple(sizes[c] for c in both)
    a = reshaped(net, a, (*stack, m, k))
    if isinstance(b, np.ndarray) and not both:
        matrix = b.transpose([right.index(c) for c in (*summed, *columns)]).reshape(k, n)
        result_view = times_matrix(net, a, matrix.astype(np.float32))
    else:
        b_view = b if isinstance(b, View) else node.view(1 if node.inputs[1] is b else 0)
        b_view = b_view.transposed([right.index(c) for c in (*both, *summed, *columns)])
        result_view = product_of(net, a, reshaped(net, b_view, (*stack, k, n)))
    result_view = reshaped(net, result_view, tuple(sizes[c] for c in made))
    return result_view.transposed([made.index(c) for c in result])
