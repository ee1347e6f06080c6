"""Inner product y = x wᵀ + b and its gradients, on `gemm`.

With `transpose` the weights are stored the other way round: w is (K, N) and y = x w + b.
"""

import numpy as np

from pycaffe_lite.kernels._jit import Array, kernel
from pycaffe_lite.kernels.convolution import End
from pycaffe_lite.kernels.gemm import gemm

__all__ = ["End", "backward_bias", "backward_data", "backward_weights", "forward"]


def forward(
    x: Array, w: Array, bias: Array | None, y: Array, transpose: bool = False, end: End | None = None
) -> None:
    """Compute y = act(scale * (x wᵀ + bias) + shift), see `End`; without an end y = x wᵀ + bias.

    The arrays are contiguous, all float32 or all float64; sums are kept in that type.

    Args:
        x: (M, K).
        w: (N, K), or (K, N) with transpose.
        bias: (N,), or None.
        y: (M, N), overwritten.
        transpose: how w is stored.
        end: what to do with each result, one scale and shift per output n, or None.
    """
    gemm(x, w, y, trans_b=not transpose)
    scale, shift, slope = (end or End()).behind(bias)
    if scale is not None or shift is not None or slope != 1:
        _finish(
            y,
            np.empty(0, y.dtype) if scale is None else scale,
            np.zeros(y.shape[1], y.dtype) if shift is None else shift,
            y.dtype.type(slope),
        )


def backward_data(dy: Array, w: Array, dx: Array, transpose: bool = False) -> None:
    """Compute dx = dy w (dx overwritten). dy: (M, N); w as for `forward`; dx: (M, K)."""
    gemm(dy, w, dx, trans_b=transpose)


def backward_weights(
    x: Array, dy: Array, dw: Array, transpose: bool = False, accumulate: bool = True
) -> None:
    """Add dyᵀ x to dw, or overwrite it. x: (M, K); dy: (M, N); dw: the shape of w in `forward`."""
    left, right = (x, dy) if transpose else (dy, x)
    gemm(left, right, dw, trans_a=True, beta=float(accumulate))


def backward_bias(dy: Array, db: Array) -> None:
    """Add to db[n] the sum over m of dy[m, n]. dy: (M, N); db: (N,)."""
    _add_rows(dy, db)


@kernel
def _finish(y: Array, scale: Array, shift: Array, slope: float) -> None:
    """y[m, n] = act(scale[n] * y[m, n] + shift[n]), scale 1 if empty; act(v) = v if v > 0 else slope * v."""
    for m in range(y.shape[0]):
        row = y[m]
        if scale.size > 0:
            for n in range(row.size):
                row[n] = scale[n] * row[n]
        for n in range(row.size):
            value = row[n] + shift[n]
            row[n] = value if value > 0 else slope * value


@kernel
def _add_rows(dy: Array, db: Array) -> None:
    """db[n] += sum over m of dy[m, n], in the order of m, in the arrays' type."""
    for m in range(dy.shape[0]):
        row = dy[m]
        for n in range(row.size):
            db[n] += row[n]
