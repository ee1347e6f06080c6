"""What `resize_param` does to a picture: its new size, the ways of interpolating, what is put beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image
from pycaffe_lite.data.image import Pixels
from pycaffe_lite.errors import DataError
from pycaffe_lite.kernels import float_pictures
from pycaffe_lite.kernels import resize as kernels
from pycaffe_lite.proto import caffe_pb2

ResizeParameter = caffe_pb2.ResizeParameter

_PAD_MODES = {
    ResizeParameter.CONSTANT: "constant",
    ResizeParameter.MIRRORED: "reflect",
    ResizeParameter.REPEAT_NEAREST: "edge",
}


def check(param: caffe_pb2.ResizeParameter) -> None:
    """Refuses sizes that are not given.

    Raises:
        DataError: height or width is 0.
    """
    if not (param.height and param.width):
        raise DataError(f"resize_param needs height and width above 0, got {param.height} and {param.width}")


def new_size(param: caffe_pb2.ResizeParameter, height: int, width: int) -> tuple[int, int]:
    """Height and width of what becomes of a picture of a size."""
    if param.resize_mode != ResizeParameter.FIT_SMALL_SIZE:
        return param.height, param.width
    return _fitting(param, height, width, outside=True)


def _fitting(param: caffe_pb2.ResizeParameter, height: int, width: int, outside: bool) -> tuple[int, int]:
    """The size with the picture's ratio of sides that covers the size wanted, or fits into it."""
    own = np.float32(width) / np.float32(height)
    wanted = np.float32(param.width) / np.float32(param.height)
    if own < wanted if outside else own > wanted:
        return max(int(np.float32(param.width) / own), 1), param.width
    return param.height, max(int(own * np.float32(param.height)), 1)


def resized(pixels: Pixels, param: caffe_pb2.ResizeParameter, interp_mode: int) -> Pixels:
    """A picture as `resize_param` makes it.

    Args:
        pixels: (H, W, C), C-contiguous.
        param: how.
        interp_mode: one of ResizeParameter.Interp_mode.

    Raises:
        DataError: pad_value has another number of values than 1 or C.
    """
    H, W, C = pixels.shape
    if param.resize_mode != ResizeParameter.FIT_LARGE_SIZE_AND_PAD:
        return scaled(pixels, *new_size(param, H, W), interp_mode)
    inner = scaled(pixels, *_fitting(param, H, W, outside=False), interp_mode)
    rest = param.height - inner.shape[0], param.width - inner.shape[1]
    sides = [(max(r, 0) // 2, max(r, 0) - max(r, 0) // 2) for r in rest]
    if param.pad_mode != ResizeParameter.CONSTANT:
        mode = _PAD_MODES[param.pad_mode]
        return np.ascontiguousarray(np.pad(inner, [*sides, (0, 0)], mode=mode))  # type: ignore[call-overload]
    if len(param.pad_value) not in (0, 1, C):
        raise DataError(f"resize_param needs no pad_value, 1 or {C}, got {len(param.pad_value)}")
    canvas: Pixels = np.empty((param.height, param.width, C), np.uint8)
    canvas[:] = np.rint(param.pad_value or [0]).clip(0, 255)
    top, left = sides[0][0], sides[1][0]
    canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return canvas


def scaled(pixels: Pixels, height: int, width: int, interp_mode: int) -> Pixels:
    """A picture in another size, as OpenCV makes it, to one step of grey.

    Args:
        pixels: (H, W, C), C-contiguous.
        height, width: wanted.
        interp_mode: one of ResizeParameter.Interp_mode. AREA is LINEAR's way where a side grows.
    """
    H, W, C = pixels.shape
    if (height, width) == (H, W):
        return pixels
    if interp_mode == ResizeParameter.NEAREST:
        return np.ascontiguousarray(pixels[_nearest(H, height)[:, None], _nearest(W, width)])
    if interp_mode == ResizeParameter.LINEAR:
        return image.resize(pixels, height, width)
    out: Pixels = np.empty((height, width, C), np.uint8)
    if interp_mode == ResizeParameter.AREA and height <= H and width <= W:
        kernels.area(pixels, _ends(H, height), _ends(W, width), out)
    else:
        weights = _WEIGHTS[interp_mode]
        rows, columns = _taps(H, height, weights), _taps(W, width, weights)
        kernels.taps(pixels, *rows, *columns, out)
    return out


def scaled_floats(pixels: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """A picture of float32 values, (H, W, C), in another size, by OpenCV's bicubic interpolation."""
    H, W, C = pixels.shape
    out = np.empty((height, width, C), np.float32)
    float_pictures.taps(pixels, *_shares(H, height, _cubic), *_shares(W, width, _cubic), out)
    return out


def _nearest(source: int, target: int) -> npt.NDArray[np.int64]:
    scale = 1 / (target / source)
    found: npt.NDArray[np.int64] = np.floor(np.arange(target) * scale).astype(np.int64)
    return found.clip(0, source - 1)


def _ends(source: int, target: int) -> npt.NDArray[np.float64]:
    return np.linspace(0, source, target + 1)


# ------------------------------------------------------------------------------------ weights of neighbours


def _area_like(place: float, source: int, target: int) -> tuple[int, list[float]]:
    scale = source / target
    first = math.floor(place * scale)
    rest = (place + 1) - (first + 1) * (target / source)
    rest = 0.0 if rest <= 0 else rest - math.floor(rest)
    return first, [1 - rest, rest]


def _cubic(place: float, source: int, target: int) -> tuple[int, list[float]]:
    first, x = _split(place, source, target)
    a = -0.75
    weights = [
        ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a,
        ((a + 2) * x - (a + 3)) * x * x + 1,
        ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1,
    ]
    return first - 1, [*weights, 1 - sum(weights)]


def _lanczos(place: float, source: int, target: int) -> tuple[int, list[float]]:
    first, x = _split(place, source, target)
    if x < np.finfo(np.float32).eps:
        return first - 3, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    places = [(x + 3 - i) * math.pi for i in range(8)]
    weights = [math.sin(d) * math.sin(d / 4) / d**2 for d in places]
    total = sum(weights)
    return first - 3, [weight / total for weight in weights]


def _split(place: float, source: int, target: int) -> tuple[int, float]:
    """The pixel before a place, and how far the place is behind it."""
    at = float(np.float32((place + 0.5) * (source / target) - 0.5))
    first = math.floor(at)
    return first, at - first


_WEIGHTS: dict[int, Callable[[float, int, int], tuple[int, list[float]]]] = {
    ResizeParameter.AREA: _area_like,
    ResizeParameter.CUBIC: _cubic,
    ResizeParameter.LANCZOS4: _lanczos,
}


@lru_cache(maxsize=64)
def _taps(
    source: int, target: int, weights: Callable[[float, int, int], tuple[int, list[float]]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The pixels of `source` that each of `target` pixels along an axis is made of, and their weights."""
    places, shares = _shares(source, target, weights)
    return places, np.rint(shares * (1 << kernels.BITS)).astype(np.int32)


def _shares(
    source: int, target: int, weights: Callable[[float, int, int], tuple[int, list[float]]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """As `_taps`, with weights that sum to 1."""
    places: list[Sequence[int]] = []
    shares: list[Sequence[float]] = []
    for place in range(target):
        first, share = weights(place, source, target)
        places.append([min(max(first + i, 0), source - 1) for i in range(len(share))])
        shares.append(share)
    return np.array(places, np.int64), np.array(shares, np.float32)
