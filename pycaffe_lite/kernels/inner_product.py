"""Inner product y = x wᵀ + b, computed as a convolution of images of one pixel; its gradients by `gemm`.

With `transpose` the weights are stored transposed: w is (K, N) and y = x w + b.
"""

import numpy as np

from pycaffe_lite.kernels import convolution
from pycaffe_lite.kernels.convolution import NO_EPILOGUE, Epilogue
from pycaffe_lite.kernels.gemm import gemm
from pycaffe_lite.kernels.products.channel_sums import add_channel_sums
from pycaffe_lite.kernels.products.dot import finish
from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.steps import break_recording

__all__ = ["NO_EPILOGUE", "Epilogue", "backward_bias", "backward_data", "backward_weights", "forward"]


def forward(
    x: Array,
    w: Array,
    bias: Array | None,
    y: Array,
    transpose: bool = False,
    epilogue: Epilogue = NO_EPILOGUE,
) -> None:
    """Compute y = act(scale * (x wᵀ + bias) + shift), see `Epilogue`.

    The arrays are contiguous, all float32 or all float64; sums are kept in that type.

    Args:
        x: (M, K).
        w: (N, K), or (K, N) with transpose.
        bias: (N,), or None.
        y: (M, N), overwritten.
        transpose: how w is stored.
        epilogue: what to do with each result, one scale and shift per output n.
    """
    if y.size == 0:
        return
    if not transpose and x.shape[1] > 0:
        # Each row of x is an image of one pixel, each row of w a kernel for it.
        image, kernels, result = (array[..., None, None] for array in (x, w, y))
        convolution.forward(image, kernels, bias, result, convolution.Window(1, 1), epilogue)
        return
    gemm(x, w, y, trans_b=not transpose)
    scale, shift, slope = epilogue if bias is None else epilogue.behind(None, bias)
    if scale is not None or shift is not None or slope != 1:
        start = np.zeros(y.shape[1], y.dtype) if shift is None else shift
        scale = np.empty(0, y.dtype) if scale is None else scale
        M, N = y.shape
        finish(y.reshape(-1), 0, N, M, N, scale, start, 0, y.dtype.type(slope))


def backward_data(dy: Array, w: Array, dx: Array, transpose: bool = False) -> None:
    """Compute dx = dy w (dx overwritten). dy: (M, N); w as for `forward`; dx: (M, K)."""
    gemm(dy, w, dx, trans_b=transpose)


def backward_weights(
    x: Array, dy: Array, dw: Array, transpose: bool = False, accumulate: bool = True
) -> None:
    """Add dyᵀ x to dw, or overwrite it. x: (M, K); dy: (M, N); dw: the shape of w in `forward`."""
    left, right = (x, dy) if transpose else (dy, x)
    gemm(left, right, dw, trans_a=True, beta=float(accumulate))


def backward_bias(dy: Array, db: Array, accumulate: bool = True) -> None:
    """Add to db[n] the sum over m of dy[m, n], or overwrite it. dy: (M, N); db: (N,)."""
    if dy.size > 0:
        add_channel_sums(dy[:, :, None], db, accumulate)
    elif not accumulate:
        break_recording()
        db.fill(0)
