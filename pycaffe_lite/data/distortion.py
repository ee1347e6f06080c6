"""Random changes of a picture's colours, and its place on a larger canvas: distort_param, expand_param.

What is drawn is drawn apart from what is done, so that several threads may work on the pictures at once.

Source: weiliu89/caffe src/caffe/util/im_transforms.cpp and src/caffe/data_transformer.cpp
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data.image import Pixels
from pycaffe_lite.errors import DataError
from pycaffe_lite.kernels.colors import bgr_of_hsv, hsv_of_bgr
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

BRIGHTNESS, CONTRAST, SATURATION, HUE, ORDER = "brightness", "contrast", "saturation", "hue", "order"
_CONTRAST_EARLY = (BRIGHTNESS, CONTRAST, SATURATION, HUE, ORDER)
_CONTRAST_LATE = (BRIGHTNESS, SATURATION, HUE, CONTRAST, ORDER)
_NEARLY_ONE = 1e-3  # of a contrast
_LEAST_EXPANSION = 1e-2  # of a ratio beyond 1

# A change and its amount; of ORDER, the number of a permutation.
Change = tuple[str, float]


def check_distortion(param: caffe_pb2.DistortionParameter) -> None:
    """Refuses amounts that cannot be drawn.

    Raises:
        DataError: a delta is below 0, or an upper bound below the lower one, or that below 0.
    """
    for name in ("brightness_delta", "hue_delta"):
        if getattr(param, name) < 0:
            raise DataError(f"distort_param needs {name} of 0 or more, got {getattr(param, name):g}")
    for name in (CONTRAST, SATURATION):
        low, high = getattr(param, f"{name}_lower"), getattr(param, f"{name}_upper")
        if not 0 <= low <= high:
            raise DataError(
                f"distort_param needs {name}_upper of {name}_lower or more, and that of 0 or more, got "
                f"{high:g} and {low:g}"
            )


def uniform(stream: RandomStream, low: float, high: float) -> float:
    """One value of [low, high], of a float32."""
    return float(stream.uniform(1, low, high)[0])


def draw_changes(param: caffe_pb2.DistortionParameter, stream: RandomStream) -> list[Change]:
    """The changes of one picture, in their order. The fork draws that of channels from C's rand() instead."""
    order = _CONTRAST_EARLY if uniform(stream, 0, 1) > 0.5 else _CONTRAST_LATE
    changes: list[Change] = []
    for kind in order:
        probability = param.random_order_prob if kind == ORDER else getattr(param, f"{kind}_prob")
        if not uniform(stream, 0, 1) < probability:
            continue
        if kind == ORDER:
            amount = float(stream.below(6))
        elif kind in (BRIGHTNESS, HUE):
            delta = getattr(param, f"{kind}_delta")
            amount = uniform(stream, -delta, delta)
        else:
            amount = uniform(stream, getattr(param, f"{kind}_lower"), getattr(param, f"{kind}_upper"))
        changes.append((kind, amount))
    return changes


def changed(pixels: Pixels, changes: list[Change]) -> Pixels:
    """A picture with its changes.

    Args:
        pixels: (H, W, C); of pictures without colours, saturation, hue and order stay.
    """
    for kind, amount in changes:
        is_colored = pixels.shape[2] == 3
        if kind == BRIGHTNESS and amount:
            pixels = _linear(pixels, 1, amount)
        elif kind == CONTRAST and abs(amount - 1) > _NEARLY_ONE:
            pixels = _linear(pixels, amount, 0)
        elif kind in (SATURATION, HUE) and is_colored and not (kind == HUE and amount == 0):
            pixels = _in_hsv(pixels, kind, amount)
        elif kind == ORDER and is_colored:
            pixels = np.ascontiguousarray(pixels[:, :, _ORDERS[int(amount)]])
    return pixels


_ORDERS = ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0])


def _linear(values: npt.NDArray[np.uint8], factor: float, summand: float) -> Pixels:
    """Values · factor + summand, rounded, within 0 and 255."""
    levels = np.arange(256, dtype=np.float32) * np.float32(factor) + np.float32(summand)
    table = np.rint(levels).clip(0, 255).astype(np.uint8)
    found: Pixels = table[values]
    return found


def _in_hsv(pixels: Pixels, kind: str, amount: float) -> Pixels:
    """Saturation times, or hue plus an amount; a hue beyond 255 or below 0 stays there, as in the fork."""
    hsv = np.ascontiguousarray(pixels).reshape(-1, 3).copy()
    hsv_of_bgr(hsv, hsv)
    if kind == SATURATION:
        hsv[:, 1] = _linear(hsv[:, 1], amount, 0)
    else:
        hsv[:, 0] = _linear(hsv[:, 0], 1, amount)
    bgr_of_hsv(hsv, hsv)
    turned: Pixels = hsv.reshape(pixels.shape)
    return turned


# --------------------------------------------------------------------------------------------- larger canvas


class Expansion(NamedTuple):
    """A canvas, and the place of a picture on it, in pixels."""

    height: int
    width: int
    top: int
    left: int

    def box(self, height: int, width: int) -> npt.NDArray[np.float32]:
        """The canvas in the picture's coordinates, of which the picture itself is 0 to 1."""
        f = np.float32
        return np.array([
            f(-self.left) / f(width), f(-self.top) / f(height),
            f(self.width - self.left) / f(width), f(self.height - self.top) / f(height),
        ], np.float32)  # fmt: skip


def draw_expansion(
    param: caffe_pb2.ExpansionParameter, height: int, width: int, stream: RandomStream
) -> Expansion | None:
    """The canvas of a picture of a size; None if it gets none this time."""
    if uniform(stream, 0, 1) > param.prob or abs(param.max_expand_ratio - 1) < _LEAST_EXPANSION:
        return None
    ratio = stream.uniform(1, 1, param.max_expand_ratio)[0]
    tall, wide = int(np.float32(height) * ratio), int(np.float32(width) * ratio)
    top = int(uniform(stream, 0, tall - height))
    left = int(uniform(stream, 0, wide - width))
    return Expansion(tall, wide, top, left)


def expanded(pixels: Pixels, expansion: Expansion, fill: npt.ArrayLike) -> Pixels:
    """A picture, (H, W, C), on its canvas, whose values are `fill`, one or one for each channel."""
    H, W, C = pixels.shape
    canvas: Pixels = np.empty((expansion.height, expansion.width, C), np.uint8)
    canvas[:] = np.rint(fill).clip(0, 255)
    canvas[expansion.top : expansion.top + H, expansion.left : expansion.left + W] = pixels
    return canvas
