"""What forks of Caffe do to the pixels of a picture before the transformer's crop: other sizes, and noise.

Source: weiliu89/caffe and intel/caffe, src/caffe/data_transformer.cpp
"""

from __future__ import annotations

import math

import numpy as np

from pycaffe_lite.data import classifier_augmentation, noise, resizing
from pycaffe_lite.data.datum import Values
from pycaffe_lite.data.image import Pixels
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

LINEAR = caffe_pb2.ResizeParameter.LINEAR
_CUBIC = caffe_pb2.ResizeParameter.CUBIC
_COLORS = 3
_MOST_PARTS = 10  # that are drawn of a picture until one fits
# Fields that have an effect on encoded pictures only, and whose they are.
_OF_ENCODED = {
    "original_image": "TSN's fork",
    "cvt_bgr2rgb": "MobileNet-YOLO",
    "enable_classf_aug": "MobileNet-YOLO",
}
_THOUSAND = 1000  # steps of a random share


def check_records(param: caffe_pb2.TransformationParameter, encoded: bool) -> None:
    """Refuses fields that have no effect on records that are not encoded, in their forks.

    Args:
        param: the layer's transform_param. encoded: whether its records are encoded pictures.

    Raises:
        DataError: there is such a field.
    """
    for name, fork in _OF_ENCODED.items():
        if getattr(param, name) and not encoded:
            raise DataError(
                f"transform_param.{name} has no effect on records that are not encoded in {fork}: leave "
                "it out"
            )


class Preparation:
    """Resizes pictures and puts noise on them, by `resize_param`, `noise_param` and the fields like these.

    In order: `enable_classf_aug` (MobileNet-YOLO) changes pictures at random; the channels are turned round
    by `bgr2rgb` (Intel) or `cvt_bgr2rgb` (MobileNet-YOLO); `original_image` (TSN) takes a part;
    `random_resize_param`, else `random_aspect_ratio_param`; `resize_param`; `noise_param`.

    Args:
        param: the layer's transform_param. phase: of the layer.

    Attributes:
        is_random: whether it draws, so that each picture needs a seed.

    Raises:
        DataError: settings that contradict each other.
    """

    def __init__(self, param: caffe_pb2.TransformationParameter, phase: int = caffe_pb2.TRAIN) -> None:
        self.param, self._phase = param, phase
        if param.enable_classf_aug:
            classifier_augmentation.check(param)
        self._turns_colors = param.bgr2rgb or param.cvt_bgr2rgb
        if param.original_image and (not param.crop_size or param.HasField("mean_file")):
            raise DataError(
                "original_image needs transform_param.crop_size > 0, and mean_value, not mean_file"
            )
        for resize in param.resize_param:
            resizing.check(resize)
        if len(param.resize_param) > 1:
            raise DataError("several resize_param are for layers of type AnnotatedData only: give one")
        self._resize = param.resize_param[0] if param.resize_param else None
        self._noise = param.noise_param if param.HasField("noise_param") else None
        if self._noise is not None:
            noise.check(self._noise)
        self._sizes = param.random_resize_param if param.HasField("random_resize_param") else None
        self._ratios = (
            param.random_aspect_ratio_param if param.HasField("random_aspect_ratio_param") else None
        )
        for name in ("random_resize_param", "random_aspect_ratio_param"):
            if param.HasField(name) and not param.crop_size:
                raise DataError(f"{name} needs transform_param.crop_size > 0")
        if self._ratios is not None and not 0 < self._ratios.aspect_ratio_change <= 1:
            raise DataError(
                "random_aspect_ratio_param needs aspect_ratio_change above 0 and up to 1, got "
                f"{self._ratios.aspect_ratio_change:g}"
            )
        if self._ratios is not None and not (
            0 < self._ratios.min_area_ratio <= self._ratios.max_area_ratio <= 1
        ):
            raise DataError(
                "random_aspect_ratio_param needs 0 < min_area_ratio <= max_area_ratio <= 1, got "
                f"{self._ratios.min_area_ratio:g} and {self._ratios.max_area_ratio:g}"
            )
        modes = [len(resize.interp_mode) > 1 for resize in param.resize_param]
        self.is_random = (
            any(modes)
            or self._sizes is not None
            or self._ratios is not None
            or (self._noise is not None and self._noise.saltpepper)
            or (param.original_image and phase == caffe_pb2.TRAIN)
            or param.enable_classf_aug
        )

    def __bool__(self) -> bool:
        """Whether it does anything."""
        parts = (self._resize, self._noise, self._sizes, self._ratios)
        others = self._turns_colors or self.param.original_image or self.param.enable_classf_aug
        return bool(others) or any(part is not None for part in parts)

    def apply(self, values: Values, seed: int) -> Values:
        """Prepares one picture.

        Args:
            values: (C, H, W) uint8. seed: of what is drawn for it.

        Returns:
            (C, height, width), of other sizes perhaps.

        Raises:
            DataError: values that are not bytes, or cannot be what is asked for.
        """
        if values.dtype != np.uint8:
            raise DataError("resize_param, noise_param and fields like these are for pictures of bytes")
        stream = RandomStream(seed)
        pixels: Pixels = np.ascontiguousarray(values.transpose(1, 2, 0))
        if self.param.enable_classf_aug:
            training = self._phase == caffe_pb2.TRAIN
            pixels = classifier_augmentation.changed(pixels, self.param, training, stream)
        if self._turns_colors and pixels.shape[2] == _COLORS:
            pixels = np.ascontiguousarray(pixels[:, :, ::-1])
        if self.param.original_image:
            pixels = self._of_original(pixels, stream)
        if self._sizes is not None:
            pixels = self._of_random_size(pixels, self._sizes, stream)
        elif self._ratios is not None:
            pixels = self._of_random_ratio(pixels, self._ratios, stream)
        if self._resize is not None:
            pixels = resizing.resized(pixels, self._resize, _mode_of(self._resize, stream))
        if self._noise is not None:
            places = noise.draw_places(self._noise, pixels.shape[0], pixels.shape[1], stream)
            pixels = noise.noisy(pixels, self._noise, places)
        prepared: Values = np.ascontiguousarray(pixels).transpose(2, 0, 1)
        return prepared

    def _of_original(self, pixels: Pixels, stream: RandomStream) -> Pixels:
        """A part of a picture of a random size and ratio of sides, in TEST the middle, in the crop's size."""
        H, W, _ = pixels.shape
        if self._phase == caffe_pb2.TRAIN:
            height, width = _size_of_part(H, W, stream)
            y = stream.below(H - height) if height < H else 0
            x = stream.below(W - width) if width < W else 0
        else:
            height, width, y, x = H // 8 * 7, W // 8 * 7, H // 14, W // 14
        if min(height, width) < 1:
            raise DataError(f"original_image leaves nothing of a picture of {H} x {W}")
        part = np.ascontiguousarray(pixels[y : y + height, x : x + width])
        return resizing.scaled(part, self.param.crop_size, self.param.crop_size, _CUBIC)

    def _of_random_size(
        self, pixels: Pixels, param: caffe_pb2.RandomResizeParameter, stream: RandomStream
    ) -> Pixels:
        """A picture whose shorter side is drawn, with the same ratio of sides."""
        H, W, _ = pixels.shape
        least, most = param.min_size or min(H, W), param.max_size or max(H, W)
        if most < least:
            raise DataError(f"random_resize_param draws sizes from {least} to {most}: there are none")
        side = stream.below(most - least + 1) + least
        return _with_shorter_side(pixels, side, _mode_of(param.resize_param, stream))

    def _of_random_ratio(
        self, pixels: Pixels, param: caffe_pb2.RandomAspectRatioParameter, stream: RandomStream
    ) -> Pixels:
        """A random part of a picture, of a random ratio of sides, resized to a square."""
        H, W, _ = pixels.shape
        crop = self.param.crop_size
        for _ in range(param.max_attempt):
            area = _share(stream, param.min_area_ratio, param.max_area_ratio) * H * W
            change = _share(stream, param.aspect_ratio_change, 1 / param.aspect_ratio_change)
            height, width = int(math.sqrt(area) * change), int(math.sqrt(area) / change)
            if _share(stream, 0, 1) < 0.5:
                height, width = width, height
            if 0 < height <= H and 0 < width <= W:
                y, x = stream.below(H - height + 1), stream.below(W - width + 1)
                mode = _mode_of(param.resize_param, stream)
                part = np.ascontiguousarray(pixels[y : y + height, x : x + width])
                return resizing.scaled(part, crop, crop, mode)
        return _with_shorter_side(pixels, crop, _mode_of(param.resize_param, stream))


def _size_of_part(H: int, W: int, stream: RandomStream) -> tuple[int, int]:
    """Height and width of a part of 0.6 to 1 of a picture's area, of sides at a ratio of 0.8 to 1.25."""
    for _ in range(_MOST_PARTS):
        area = np.float32(H * W) * stream.uniform(1, 0.6, 1)[0]
        stream.uniform(1, 0, 1)  # in the fork whether sides are exchanged, which has no effect
        ratio = stream.uniform(1, 0.8, 1.25)[0]
        height, width = int(np.sqrt(area / ratio)), int(np.sqrt(area * ratio))
        if height <= H and width <= W:
            return height, width
    return H // 8 * 7, W // 8 * 7


def _mode_of(resize: caffe_pb2.ResizeParameter, stream: RandomStream) -> int:
    """The interpolation, drawn where there are several."""
    modes = resize.interp_mode
    return modes[stream.below(len(modes))] if len(modes) > 1 else modes[0] if modes else LINEAR


def _share(stream: RandomStream, low: float, high: float) -> float:
    """A number from low to high, in steps of a thousandth."""
    return (stream.below(int(_THOUSAND * (high - low) + 1)) + _THOUSAND * low) / _THOUSAND


def _with_shorter_side(pixels: Pixels, side: int, mode: int) -> Pixels:
    H, W, _ = pixels.shape
    if H < W:
        return resizing.scaled(pixels, side, int(np.float32(W) / np.float32(H) * np.float32(side)), mode)
    return resizing.scaled(pixels, int(np.float32(H) / np.float32(W) * np.float32(side)), side, mode)
