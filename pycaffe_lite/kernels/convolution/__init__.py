"""2-D convolution and its two gradients as blocked matrix products; `geometry` has the equations.

A deconvolution uses the same functions in reverse: its forward pass is `backward_data`, its
data gradient `forward`, and its weight gradient `backward_weights` with image and gradient exchanged.

Results have the same bits for every number of threads: tasks are blocks of results, and the sums for one
result run over the depth (or, for weights, over images and positions) in a fixed order.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.convolution import blocked, data_gradient, weight_gradient
from pycaffe_lite.kernels.convolution.geometry import Geometry, Window, geometry
from pycaffe_lite.kernels.convolution.weights import WeightLayout, weights_in_order
from pycaffe_lite.kernels.convolution.winograd import data_gradient as winograd_data
from pycaffe_lite.kernels.convolution.winograd import forward as winograd
from pycaffe_lite.kernels.products.channel_sums import add_channel_sums
from pycaffe_lite.kernels.products.long import add_pieces, columns_of, is_long
from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.scratch import no_memory
from pycaffe_lite.kernels.runtime.steps import break_recording

__all__ = [
    "NO_EPILOGUE",
    "Epilogue",
    "Window",
    "backward_bias",
    "backward_data",
    "backward_weights",
    "forward",
]


class Epilogue(NamedTuple):
    """What is done to each result of a convolution before it is stored: act(scale[m] * conv + shift[m]).

    scale, shift: (M,), the type of the arrays, or None for 1 and 0. act(v) is v if v > 0 else slope * v; with
    slope 1 there is no activation.
    """

    scale: Array | None = None
    shift: Array | None = None
    slope: float = 1.0

    def behind(self, scale: Array | None, shift: Array | None) -> "Epilogue":
        """The epilogue that applies another scale and shift first, and then this one."""
        if self.scale is None and (self.shift is None or shift is None):
            return Epilogue(scale, self.shift if shift is None else shift, self.slope)
        some = next(array for array in (self.scale, self.shift) if array is not None)
        none = some[:0]
        new_scale = none if self.scale is None and scale is None else np.empty_like(some)
        new_shift = none if self.shift is None and shift is None else np.empty_like(some)
        given = (none if array is None else array for array in (scale, shift, self.scale, self.shift))
        _compose(no_memory(some.dtype, workers=1), *given, new_scale, new_shift)
        return Epilogue(
            None if new_scale is none else new_scale, None if new_shift is none else new_shift, self.slope
        )


@worker_kernel
def _compose(
    scale: Array, shift: Array, then_scale: Array, then_shift: Array, new_scale: Array, new_shift: Array,
    tasks: Tasks, _memory: Array,
) -> None:  # fmt: skip
    """new_scale x + new_shift = then_scale (scale x + shift) + then_shift; empty arrays stand for 1 and 0."""
    if take_task(tasks, 1) > 0:
        return
    for m in range(new_scale.size):
        value = scale[m] if scale.size > 0 else scale.dtype.type(1)
        new_scale[m] = value * then_scale[m] if then_scale.size > 0 else value
    for m in range(new_shift.size):
        if shift.size == 0:
            new_shift[m] = then_shift[m]
            continue
        value = shift[m] * then_scale[m] if then_scale.size > 0 else shift[m]
        new_shift[m] = value + then_shift[m] if then_shift.size > 0 else value


NO_EPILOGUE = Epilogue()


@lru_cache(maxsize=1024)
def _geometry(x: tuple[int, ...], w: tuple[int, ...], y: tuple[int, ...], window: Window) -> Geometry:
    """The geometry that follows from the shapes of image, weights and result.

    Raises:
        ValueError: the shapes do not fit together.
    """
    N, C, H, W = x
    M = w[0]
    if w != (M, C // window.group, window.kernel_h, window.kernel_w) or C % window.group or M % window.group:
        raise ValueError(f"convolution: weights {w} do not fit an image {x} and {window}")
    if y[:2] != (N, M):
        raise ValueError(f"convolution: result {y} does not fit an image {x} and weights {w}")
    return geometry(N, C, H, W, M, y[2], y[3], window)


def forward(
    x: Array, w: Array, bias: Array | None, y: Array, window: Window, epilogue: Epilogue = NO_EPILOGUE
) -> None:
    """Compute y = act(scale * (w * x + bias) + shift), see `Epilogue`.

    The arrays are contiguous, all float32 or all float64; sums are kept in that type.

    Args:
        x: (N, C, H, W).
        w: (M, C / group, kernel_h, kernel_w).
        bias: (M,), or None.
        y: (N, M, P, Q), overwritten.
        window: kernel, padding, stride, dilation and groups.
        epilogue: what to do with each result before it is stored.
    """
    g = _geometry(x.shape, w.shape, y.shape, window)
    if y.size > 0:
        scale, shift, slope = epilogue if bias is None else epilogue.behind(None, bias)
        start = np.zeros(g.M, y.dtype) if shift is None else shift
        scale = np.empty(0, y.dtype) if scale is None else scale
        blocked.product(x, w, start, scale, slope, y, g, weights_in_order(g))


def backward_data(dy: Array, w: Array, dx: Array, window: Window) -> None:
    """Compute dx, the gradient with respect to x: each dy times its weights, added where x was read.

    Args:
        dy: (N, M, P, Q); arrays as for `forward`.
        w: (M, C / group, kernel_h, kernel_w).
        dx: (N, C, H, W), overwritten.
        window: as for `forward`.
    """
    g = _geometry(dx.shape, w.shape, dy.shape, window)
    if dx.size == 0 or dy.size == 0:
        break_recording()
        dx.fill(0)
        return
    lanes = target().lanes(dx.itemsize)
    flipped = _flipped(g, lanes)
    if flipped is None:
        _scatter(dy, w, dx, g, lanes)
    else:
        weights = _flipped_weights(g)
        no_scale = np.empty(0, dx.dtype)
        blocked.product(dy, w, np.zeros(g.C, dx.dtype), no_scale, 1.0, dx, flipped, weights)


def backward_weights(x: Array, dy: Array, dw: Array, window: Window, accumulate: bool = True) -> None:
    """Add to dw the gradient with respect to w: the sum over images and positions of dy times x.

    Args:
        x: (N, C, H, W); arrays as for `forward`.
        dy: (N, M, P, Q).
        dw: (M, C / group, kernel_h, kernel_w), added to or overwritten.
        window: as for `forward`.
        accumulate: False to overwrite dw, whatever it holds.
    """
    g = _geometry(x.shape, dw.shape, dy.shape, window)
    if dw.size > 0 and dy.size > 0:
        weight_gradient.accumulate(x, dy, dw, g, accumulate)
    elif not accumulate:
        break_recording()
        dw.fill(0)


def backward_bias(dy: Array, db: Array, accumulate: bool = True) -> None:
    """Add to db[m] the sum over images n and positions of dy[n, m; position], or overwrite it.

    dy: (N, M, ...); db: (M,).
    """
    if dy.size > 0:
        add_channel_sums(dy.reshape(*dy.shape[:2], -1), db, accumulate)
    elif not accumulate:
        break_recording()
        db.fill(0)


def _scatter(dy: Array, w: Array, dx: Array, g: Geometry, lanes: int) -> None:
    """Compute `backward_data` by adding the contributions of each dy to the image."""
    rows, area, plane = g.M // g.group, g.kernel_h * g.kernel_w, g.P * g.Q
    if not is_long(rows, area):
        add = winograd_data.add_tiles if winograd_data.suits(g, lanes) else data_gradient.scatter
        add(dy, w, dx, g)
        return

    def multiply(first: int, end: int, part: Array) -> None:
        of_piece, weights = g._replace(M=g.group * (end - first)), w.size // g.M
        some = columns_of(dy, g.N * g.group, first * plane, end * plane, "channels")
        kernels = columns_of(w, g.group, first * weights, end * weights, "kernels of channels")
        _scatter(some.reshape(g.N, of_piece.M, plane), kernels, part, of_piece, lanes)

    add_pieces(multiply, rows, area, dx, np.zeros(g.C, dx.dtype), w.reshape(-1)[:0], 1.0)


@lru_cache(maxsize=1024)
def _flipped(g: Geometry, lanes: int) -> Geometry | None:
    """The convolution of dy that gives the data gradient; None if there is none, or if scattering is faster.

    For stride 1 it is the convolution with the flipped kernels. It multiplies the zeros around dy, too, but
    its speed does not depend on how well dy's lines fill half vectors.
    """
    pad_h = g.dilation_h * (g.kernel_h - 1) - g.pad_h
    pad_w = g.dilation_w * (g.kernel_w - 1) - g.pad_w
    if not (g.stride_h == g.stride_w == 1 and pad_h >= 0 and pad_w >= 0):
        return None
    window = Window(g.kernel_h, g.kernel_w, pad_h, pad_w, 1, 1, g.dilation_h, g.dilation_w, g.group)
    flipped = geometry(g.N, g.M, g.P, g.Q, g.C, g.H, g.W, window)
    half = lanes // 2
    scattered = g.P * -(-g.Q // half) * half
    dense = g.H * g.W * (100 if g.W % half == 0 else 106) <= scattered * 106
    depthwise = g.group > 1 and g.M == g.group == g.C
    return flipped if dense or depthwise or winograd.suits(flipped, lanes) else None


@lru_cache(maxsize=1024)
def _flipped_weights(g: Geometry) -> WeightLayout:
    """The layout of the flipped kernels within the weights of `g`, as the convolution of dy reads them."""
    rows, channels, area = g.M // g.group, g.C // g.group, g.kernel_h * g.kernel_w
    return WeightLayout(rows * channels * area, area, channels * area, -1, area - 1)
