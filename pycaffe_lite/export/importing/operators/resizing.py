"""Pictures made larger or smaller: by Deconvolution where each pixel becomes a block, else by matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import Node, operator
from pycaffe_lite.export.importing.operators.padding import rows_of
from pycaffe_lite.export.importing.values import Array, View

# Values of one matrix: an axis of 2048 made of one as long.
_MOST_MATRIX = 2**23


@operator("Resize", "Upsample")
def resize(node: Node) -> View:
    """A tensor of other sizes along some axes."""
    net, x, shape = node.net, node.view(), node.shape()
    rank = len(x.shape)
    axes = [node.axis(axis) for axis in node.attribute("axes") or range(rank)]
    scales = _scales(node, x.shape, shape, axes)
    if node.attribute("mode", "nearest") not in ("nearest", "linear", "bilinear", "cubic"):
        raise InexpressibleError(f"it has the mode '{node.attribute('mode')}'")
    changed = [axis for axis in range(rank) if shape[axis] != x.shape[axis] or scales[axis] != 1]
    if not changed:
        return x
    order = [x.place_of(axis) for axis in range(rank)]
    if order == [0, 2, 3, 1]:  # channels last here, first in the blob
        channels_first = View.of(net.as_dims(x), x.dims)
        back = (0, 2, 3, 1)
        sizes = [shape[i] for i in (0, 3, 1, 2)]
        matrices = {axis + 1: _matrix_of(node, x.shape[axis], shape[axis], scales[axis]) for axis in changed}
        return _resized(node, channels_first, sizes, matrices).transposed(back)
    matrices = {axis: _matrix_of(node, x.shape[axis], shape[axis], scales[axis]) for axis in changed}
    return _resized(node, net.plain_view(x), shape, matrices)


def _scales(node: Node, old: Sequence[int], new: Sequence[int], axes: Sequence[int]) -> list[float]:
    """The scale of each axis, as given or as it follows from the sizes."""
    position = 1 if node.op == "Upsample" or node.opset < 11 else 2
    given = node.setting("scales", position) if node.has(position) or "scales" in node.given else None
    scales = [n / o for n, o in zip(new, old, strict=True)]
    if given:
        for axis, scale in zip(axes, given, strict=True):
            scales[axis] = float(scale)
    elif node.has(3) and node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        wanted = [n / old[axis] for axis, n in zip(axes, node.setting("sizes", 3), strict=True)]
        policy = node.attribute("keep_aspect_ratio_policy")
        scale = min(wanted) if policy == "not_larger" else max(wanted)
        for axis in axes:
            scales[axis] = scale
    return scales


def _matrix_of(node: Node, old: int, new: int, scale: float) -> Array:
    """The matrix that makes an axis of another size: (new, old)."""
    if old * new > _MOST_MATRIX:
        raise InexpressibleError(f"it makes an axis of {new} of one of {old}, which is too large")
    mode = node.attribute("mode", "nearest").removeprefix("bi")
    is_old = node.op == "Upsample" or node.opset < 11
    how = "asymmetric" if is_old else node.attribute("coordinate_transformation_mode", "half_pixel")
    if node.attribute("antialias", 0) and scale < 1:
        raise InexpressibleError("it smooths while it makes pictures smaller (antialias)")
    if node.attribute("exclude_outside", 0) and mode == "cubic":
        raise InexpressibleError("it leaves out what lies outside (exclude_outside)")
    if how == "tf_crop_and_resize":
        raise InexpressibleError("it cuts out a part (tf_crop_and_resize)")
    x = _coordinates(np.arange(new, dtype=np.float64), how, old, new, scale)
    matrix = np.zeros((new, old))
    rows = np.arange(new)
    if mode == "nearest":
        rounding = "floor" if is_old else node.attribute("nearest_mode", "round_prefer_floor")
        near = {
            "floor": np.floor(x),
            "ceil": np.ceil(x),
            "round_prefer_floor": np.ceil(x - 0.5),
            "round_prefer_ceil": np.floor(x + 0.5),
        }[rounding]
        matrix[rows, np.clip(near, 0, old - 1).astype(int)] = 1
        return matrix
    base = np.floor(x)
    if mode == "linear":
        taps = {0: 1 - (x - base), 1: x - base}
    else:
        a = node.attribute("cubic_coeff_a", -0.75)
        taps = {i: _cubic(np.abs(x - base - i), a) for i in (-1, 0, 1, 2)}
    for offset, weight in taps.items():
        np.add.at(matrix, (rows, np.clip(base + offset, 0, old - 1).astype(int)), weight)
    return matrix


def _coordinates(i: Array, how: str, old: int, new: int, scale: float) -> Array:
    """Where the middle of each new pixel is among the old ones."""
    if how == "align_corners":
        return i * (old - 1) / (new - 1) if new > 1 else np.zeros_like(i)
    if how == "asymmetric":
        return i / scale
    if how == "pytorch_half_pixel" and new == 1:
        return np.zeros_like(i)
    if how == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    if how == "half_pixel_symmetric":
        middle = old / 2 * (1 - new / (old * scale))
        return middle + (i + 0.5) / scale - 0.5
    return (i + 0.5) / scale - 0.5


def _cubic(distance: Array, a: float) -> Array:
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def _resized(node: Node, x: View, sizes: Sequence[int], matrices: dict[int, Array]) -> View:
    """The tensor with a matrix along each axis."""
    net = node.net
    if len(sizes) == 4 and matrices.keys() <= {2, 3}:
        blocks = [_block(matrices.get(axis, np.eye(x.shape[axis]))) for axis in (2, 3)]
        if "Upsample" in net.allowed and blocks[0] == blocks[1] and blocks[0] is not None:
            param = {"scale": blocks[0]}
            return View.of(net.one("Upsample", x.blob, tuple(sizes), main=True, upsample_param=param), sizes)
        if all(block is not None for block in blocks):
            return View.of(
                _deconvolved(net, x.blob, [np.ones(n or 1) for n in blocks], [n or 1 for n in blocks], 0),
                sizes,
            )
        if "Interp" in net.allowed and _is_interp(matrices):
            param = {"height": sizes[2], "width": sizes[3]}
            return View.of(net.one("Interp", x.blob, tuple(sizes), main=True, interp_param=param), sizes)
        smooth = _smooth_scale(matrices)
        if smooth is not None:
            return _smoothed(net, x, sizes, smooth)
    for axis, matrix in matrices.items():
        x = along_axis(net, x, axis, matrix)
    return x


def _block(matrix: Array) -> int | None:
    """By how many each value is repeated, if that is what a matrix does."""
    new, old = (int(n) for n in matrix.shape)
    if new % old or not np.array_equal(matrix, np.repeat(np.eye(old), new // old, axis=0)):
        return None
    return new // old


def _is_interp(matrices: dict[int, Array]) -> bool:
    """Whether an Interp layer does the same: bilinear, the corners in place (align_corners)."""
    for matrix in matrices.values():
        new, old = matrix.shape
        x = np.arange(new) * (old - 1) / (new - 1) if new > 1 else np.zeros(1)
        tents = np.maximum(1 - np.abs(x[:, np.newaxis] - np.arange(old)), 0)
        if not np.allclose(tents, matrix, atol=1e-7):
            return False
    return True


def _deconvolved(net: CaffeNet, blob: str, taps: Sequence[Array], stride: Sequence[int], pad: int) -> str:
    """Each pixel of each channel spread by a kernel, the outer product of taps."""
    n, channels, *old = net.shapes[blob]
    kernel = np.outer(taps[0], taps[1])
    weights = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
    shape = [s * (size - 1) + len(t) - 2 * pad for size, s, t in zip(old, stride, taps, strict=True)]
    sizes = [len(t) for t in taps]
    param = {
        "num_output": channels,
        "bias_term": False,
        "group": channels,
        "kernel_size": sizes[:1] if sizes[0] == sizes[1] else sizes,
        "stride": list(stride[:1]) if stride[0] == stride[1] else list(stride),
    }
    if pad:
        param["pad"] = [pad]
    return net.one(
        "Deconvolution", blob, (n, channels, *shape), weights=[weights], main=True, convolution_param=param
    )


def _smooth_scale(matrices: dict[int, Array]) -> int | None:
    """The scale of bilinear upsampling by a whole number along both axes (half_pixel); else None."""
    if matrices.keys() != {2, 3}:
        return None
    scales = {len(matrix) / matrix.shape[1] for matrix in matrices.values()}
    scale = int(min(scales))
    if len(scales) != 1 or scale != min(scales) or scale < 2:
        return None
    for matrix in matrices.values():
        old = matrix.shape[1]
        x = np.clip((np.arange(old * scale) + 0.5) / scale - 0.5, 0, old - 1)
        base = np.minimum(np.floor(x).astype(int), max(old - 2, 0))
        ours = np.zeros_like(matrix)
        np.add.at(ours, (np.arange(len(x)), base), 1 - (x - base))
        np.add.at(ours, (np.arange(len(x)), np.minimum(base + 1, old - 1)), x - base)
        if not np.allclose(ours, matrix, atol=1e-7):
            return None
    return scale


def _smoothed(net: CaffeNet, x: View, sizes: Sequence[int], scale: int) -> View:
    """Bilinear upsampling: the edge is repeated, each pixel is spread by a tent, and the rim is cut off."""
    for axis in (2, 3):
        x = rows_of(net, x, axis, [0, *range(x.shape[axis]), x.shape[axis] - 1])
    width = 2 * scale - scale % 2
    middle = (width - 1) / 2
    tent = 1 - np.abs(np.arange(width) - middle) / scale
    pad = scale + math.ceil((scale - 1) / 2)
    return View.of(_deconvolved(net, net.plain(x), [tent, tent], [scale, scale], pad), sizes)


def along_axis(net: CaffeNet, x: View, axis: int, matrix: Array) -> View:
    """A matrix times each line of values along an axis: InnerProduct for the last one, else Convolution."""
    shape = list(x.shape)
    shape[axis] = len(matrix)
    param: dict[str, object] = {"num_output": len(matrix), "bias_term": False}
    if axis == len(shape) - 1:
        param["axis"] = axis
        top = net.one("InnerProduct", net.plain(x), tuple(shape), weights=[matrix], inner_product_param=param)
        return View.of(top, shape)
    inner = math.prod(shape[axis + 1 :])
    outer = math.prod(shape[:axis])
    blob = net.reshape(net.plain(x), (outer, x.shape[axis], inner, 1))
    weights = matrix[:, :, np.newaxis, np.newaxis]
    made = (outer, len(matrix), inner, 1)
    blob = net.one(
        "Convolution", blob, made, weights=[weights], convolution_param=param | {"kernel_size": [1]}
    )
    return View.of(net.reshape(blob, shape), shape)
