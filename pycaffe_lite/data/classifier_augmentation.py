"""Random changes of pictures for classifiers: MobileNet-YOLO's `enable_classf_aug` and the fields beside it.

Source: eric612/MobileNet-YOLO src/caffe/data_transformer.cpp, Transform3
"""

from __future__ import annotations

import math

import numpy as np

from pycaffe_lite.data import resizing, turning
from pycaffe_lite.data.image import Pixels
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

_LINEAR = caffe_pb2.ResizeParameter.LINEAR
# OpenCV's weights for small windows, of which only the ratios count.
_SMALL_GAUSSIANS = {1: (1,), 3: (1, 2, 1), 5: (1, 4, 6, 4, 1), 7: (2, 7, 14, 18, 14, 7, 2)}
_GAUSSIAN, _MEAN, _MEDIAN = range(3)  # ways of smoothing; the fourth is a mean over twice the side


def check(param: caffe_pb2.TransformationParameter) -> None:
    """Refuses what cannot be drawn, and steps that have no effect beside these changes in the fork.

    Raises:
        DataError: bounds that contradict each other, or another step.
    """
    if not 0 < param.min_contrast <= param.max_contrast:
        raise DataError(
            f"needs 0 < min_contrast <= max_contrast, got {param.min_contrast:g} and {param.max_contrast:g}"
        )
    if param.min_side_min and param.min_side_max and param.min_side_min > param.min_side_max:
        raise DataError(
            f"needs min_side_min up to min_side_max, got {param.min_side_min} and {param.min_side_max}"
        )
    if param.smooth_filtering and 1 < param.max_smooth < 2:
        raise DataError(f"needs max_smooth of 2 or more, or up to 1, got {param.max_smooth:g}")
    for name in ("noise_param", "random_resize_param", "random_aspect_ratio_param"):
        if param.HasField(name):
            raise DataError(f"enable_classf_aug leaves no room for {name}: leave one out")
    if param.resize_param or param.original_image or param.cvt_bgr2rgb:
        raise DataError(
            "enable_classf_aug leaves no room for resize_param, original_image and cvt_bgr2rgb: leave it "
            "out, or these"
        )


def changed(
    pixels: Pixels, param: caffe_pb2.TransformationParameter, training: bool, stream: RandomStream
) -> Pixels:
    """A picture, (H, W, C), with its changes, of another size perhaps; to one step of grey.

    In order: turned; resized to a shorter side; colours shifted; contrast and brightness; smoothed.
    """
    acts = [training and stream.uniform(1, 0, 1)[0] > 1 - param.apply_probability for _ in range(3)]
    brightens = acts[0] and param.contrast_brightness_adjustment
    smooths = acts[1] and param.smooth_filtering and param.max_smooth > 1
    shifts = acts[2] and param.max_color_shift > 0
    if training and param.max_rotation_angle:
        degrees = stream.below(2 * param.max_rotation_angle + 1) - param.max_rotation_angle
        pixels = _turned(pixels, degrees) if degrees else pixels
    if param.min_side:
        pixels = _with_shorter_side(pixels, param.min_side)
    if param.min_side_min and param.min_side_max:
        side = param.min_side_min + stream.below(param.min_side_max - param.min_side_min + 1)
        pixels = _with_shorter_side(pixels, side)
    if shifts:
        amounts = np.array([stream.below(param.max_color_shift + 1) for _ in range(3)])
        sign = -1 if stream.below(2) == 1 else 1
        pixels = _bytes(pixels + sign * amounts[: pixels.shape[2]])
    if brightens:
        factor = stream.uniform(1, param.min_contrast, param.max_contrast)[0]
        summand = stream.below(2 * param.max_brightness_shift + 1) - int(param.max_brightness_shift)
        pixels = _bytes(np.rint(pixels * factor + np.float32(summand)))
    if smooths:
        way = stream.below(4)
        pixels = _smoothed(pixels, way, 1 + 2 * stream.below(int(param.max_smooth / 2)))
    return pixels


def _bytes(values: np.ndarray) -> Pixels:
    found: Pixels = values.clip(0, 255).astype(np.uint8)
    return found


def _turned(pixels: Pixels, degrees: int) -> Pixels:
    """A picture turned about its middle, within the rectangle about it; what it does not cover is 0."""
    H, W, _ = pixels.shape
    center = W / 2, H / 2
    height, width = turning.size_about(center, (H, W), degrees)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = np.array([[c, s, 0], [-s, c, 0]])
    matrix[:, 2] = np.array([width / 2, height / 2]) - matrix[:, :2] @ center
    # Zeros around the picture, which its outermost pixels fade into.
    matrix[:, 2] -= matrix[:, :2].sum(axis=1)
    around = np.pad(pixels, [(1, 1), (1, 1), (0, 0)]).astype(np.float32)
    return _bytes(np.rint(turning.warped(around, matrix, (height, width))))


def _with_shorter_side(pixels: Pixels, side: int) -> Pixels:
    H, W, _ = pixels.shape
    if H <= W:
        return resizing.scaled(np.ascontiguousarray(pixels), side, math.ceil(W / (H / side)), _LINEAR)
    return resizing.scaled(np.ascontiguousarray(pixels), math.ceil(H / (W / side)), side, _LINEAR)


def _smoothed(pixels: Pixels, way: int, side: int) -> Pixels:
    """A picture whose pixels are made of windows of a side about them."""
    if way == _MEDIAN:
        return _bytes(np.median(_windows(pixels, side, side // 2, "edge"), axis=(3, 4)))
    weights = np.ones(side if way == _MEAN else 2 * side)
    if way == _GAUSSIAN and side in _SMALL_GAUSSIANS:
        weights = np.array(_SMALL_GAUSSIANS[side], np.float64)
    elif way == _GAUSSIAN:
        sigma = 0.3 * ((side - 1) * 0.5 - 1) + 0.8
        weights = np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    windows = _windows(pixels, len(weights), len(weights) // 2, "reflect")
    return _bytes(np.rint(np.einsum("yxcij,i,j->yxc", windows, weights, weights, optimize=True)))


def _windows(pixels: Pixels, side: int, before: int, mode: str) -> np.ndarray:
    """The windows about the pixels, (H, W, C, side, side), of a picture that goes on at its edges."""
    ends = (before, side - 1 - before)
    around = np.pad(pixels, [ends, ends, (0, 0)], mode=mode)  # type: ignore[call-overload]
    return np.lib.stride_tricks.sliding_window_view(around, (side, side), axis=(0, 1))
