"""Matrix products, by whichever algorithm of `products` or `convolution.blocked` is the fastest."""

from functools import lru_cache

import numpy as np

from pycaffe_lite.kernels.convolution.blocked import product
from pycaffe_lite.kernels.convolution.geometry import Geometry, Window, geometry
from pycaffe_lite.kernels.convolution.weights import WeightLayout
from pycaffe_lite.kernels.products.dot import LEAST_DEPTH, dot_product
from pycaffe_lite.kernels.products.long import LONG, add_pieces, columns_of, is_long
from pycaffe_lite.kernels.products.stream import MOST_ROWS, stream_product, suits
from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.steps import break_recording


def gemm(
    a: Array, b: Array, c: Array, trans_a: bool = False, trans_b: bool = False, beta: float = 0.0
) -> None:
    """Compute c = op(a) op(b) + beta c, where op transposes if asked to.

    The arrays are contiguous, all float32 or all float64; sums are kept in that type.

    Args:
        a: (M, K), or (K, M) with trans_a.
        b: (K, N), or (N, K) with trans_b.
        c: (M, N).
        trans_a: a is given transposed.
        trans_b: b is given transposed.
        beta: 0 (c is overwritten, whatever it holds), 1, or any other number.
    """
    M, N = c.shape
    K = a.shape[0] if trans_a else a.shape[1]
    if a.shape != ((K, M) if trans_a else (M, K)) or b.shape != ((N, K) if trans_b else (K, N)):
        raise ValueError(f"gemm: shapes {a.shape} and {b.shape} do not multiply to {c.shape}")
    if beta == 0 and K == 0:
        break_recording()
        c.fill(0)
    elif beta not in (0, 1):
        break_recording()
        c *= c.dtype.type(beta)
    if M == 0 or N == 0 or K == 0:
        return
    if trans_b and not trans_a and K >= LEAST_DEPTH:
        none = np.empty(0, c.dtype)
        dot_product(a, b, c, beta != 0, none, none, 1.0)
        return
    if trans_b:
        break_recording()
        b = np.ascontiguousarray(b.T)
    streams = not trans_a and suits(M, N, K)
    most = MOST_ROWS if streams else LONG
    if is_long(K, most=most):
        _product_in_pieces(a, b, c, trans_a, beta != 0, most)
    elif streams:
        stream_product(a, b, c, beta != 0)
    else:
        _outer_product(a, b, c, trans_a, beta != 0)


def _product_in_pieces(a: Array, b: Array, c: Array, trans_a: bool, accumulate: bool, most: int) -> None:
    """Compute c = op(a) b or c += op(a) b, some rows of b at a time."""

    def multiply(first: int, end: int, part: Array) -> None:
        if trans_a:
            some = a[first:end]
        else:
            some = columns_of(a, a.shape[0], first, end, "columns").reshape(a.shape[0], end - first)
        gemm(some, b[first:end], part, trans_a)

    none = np.zeros(c.shape[1], c.dtype)
    add_pieces(multiply, b.shape[0], 1, c, none, none[:0], 1.0, accumulate, most)


@lru_cache(maxsize=256)
def _as_convolution(M: int, N: int, K: int, trans_a: bool) -> tuple[Geometry, WeightLayout]:
    """The 1x1 convolution that multiplies (M, K) by (K, N): of one image with K channels of N pixels."""
    layout = WeightLayout(0, 1, M, 1) if trans_a else WeightLayout(0, K, 1, 1)
    return geometry(1, K, 1, N, M, 1, N, Window(1, 1)), layout


def _outer_product(a: Array, b: Array, c: Array, trans_a: bool, accumulate: bool) -> None:
    """Compute c = op(a) b or c += op(a) b, as a convolution of one image with b's rows for channels."""
    (M, N), K = c.shape, b.shape[0]
    g, weights = _as_convolution(M, N, K, trans_a)
    product(b, a, np.zeros(M, c.dtype), np.empty(0, c.dtype), 1.0, c, g, weights, accumulate)
