"""What only forks of Caffe do to images: crops of several sizes, flow, zeros around.

Source: yjxiong/caffe, Cysu/caffe and intel/caffe, src/caffe/data_transformer.cpp
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image
from pycaffe_lite.data.datum import Values
from pycaffe_lite.data.transformer import Draws, Fit, Floats, Numbers, Places, Shape, Transformer
from pycaffe_lite.errors import DataError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.kernels import transform
from pycaffe_lite.proto import caffe_pb2

# Sides of random crops, as shares of an image's shorter side, if `scale_ratios` does not say them.
_RATIOS = (1.0, 0.875, 0.75, 0.66)
_NEARLY = 3  # pixels by which a side may differ from that of the crop and still be taken for it
# Where fixed crops lie, in quarters of the room that there is: corners and centre, then those between.
_CORNERS = ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))
_BETWEEN = ((0, 2), (4, 2), (2, 0), (2, 4), (1, 1), (1, 3), (3, 1), (3, 3))


def transformer_of(
    param: caffe_pb2.TransformationParameter,
    phase: int,
    folder: Path | None,
    images: str = "records",
    prepares: bool = True,
) -> Transformer:
    """The transformer that a transform_param asks for: a fork's, or Caffe's; the arguments are its own."""
    if param.enable_classf_aug and param.mirror and phase != caffe_pb2.TRAIN:
        own = caffe_pb2.TransformationParameter()  # MobileNet-YOLO then mirrors in training alone
        own.CopyFrom(param)
        own.mirror = False
        param = own
    of_forks = param.multi_scale or param.fix_crop or param.is_flow or param.flow or param.pad
    kind = ForkTransformer if of_forks or param.multi_scale_levels else Transformer
    return kind(param, phase, folder, images, prepares)


def crop_sizes(
    height: int, width: int, crop: tuple[int, int], ratios: tuple[float, ...], max_distort: int
) -> list[tuple[int, int]]:
    """The sizes of which TSN's `multi_scale` draws one.

    Args:
        height, width: of the image. crop: of what becomes of it. ratios: of sides to the shorter one.
        max_distort: how far apart in the list the ratios of height and width may be.
    """
    sides = [int(np.float32(min(height, width)) * np.float32(ratio)) for ratio in ratios]
    tall, wide = ([fixed if abs(side - fixed) < _NEARLY else side for side in sides] for fixed in crop)
    return [
        (tall[i], wide[j])
        for i in range(len(ratios))
        for j in range(len(ratios))
        if abs(i - j) <= max_distort
    ]


class ForkTransformer(Transformer):
    """As Transformer, with what forks of Caffe add; the draws of an image come in the fork's order.

    `multi_scale` (TSN) draws a size in TRAIN, and the crop of this size is resized to crop_size; `fix_crop`
    draws one of five places, or of thirteen, instead of any. With a mean file, that part of the mean counts
    then which lies at the top on the left. `is_flow` inverts the first of each two channels where the image
    is mirrored, `flow` (Intel) the third.

    `multi_scale_levels` (Cysu) draws a factor, by which the image is scaled first, in TEST, too.

    `pad` (Intel) puts zeros on each side of what is left. They stay zeros, but for one row and one column of
    them next to the image, below and on the right, which are taken for the image's; and with mean values,
    what is not zeros is rounded to whole numbers.

    Args:
        param, phase, folder, images, prepares: as for Transformer.

    Raises:
        DataError: settings that contradict each other.
    """

    cuts = False

    def __init__(
        self,
        param: caffe_pb2.TransformationParameter,
        phase: int,
        folder: Path | None,
        images: str = "records",
        prepares: bool = True,
    ) -> None:
        super().__init__(param, phase, folder, images, prepares)
        self._levels = np.array(param.multi_scale_levels, np.float32)
        self._ratios = tuple(param.scale_ratios) or _RATIOS
        self._sized = param.multi_scale and self._random_crop
        self._fixed = param.fix_crop and self._random_crop
        if len(self._levels) and (param.multi_scale or param.fix_crop or param.HasField("mean_file")):
            raise DataError("multi_scale_levels goes with mean_value, and without multi_scale and fix_crop")
        if (self._sized or len(self._levels)) and not max(self._crop):
            raise DataError("multi_scale and multi_scale_levels need a crop_size")
        if len(self._levels) and self._levels.min() <= 0:
            raise DataError(f"multi_scale_levels must be above 0, got {self._levels.min():g}")
        if self._sized and not all(0 < ratio <= 1 for ratio in self._ratios):
            raise DataError(f"multi_scale needs scale_ratios above 0 and up to 1, got {self._ratios}")
        if param.pad and param.HasField("mean_file"):
            raise DataError("pad goes with mean_value: in Intel's fork a mean_file is shifted by it")
        own = self._sized + (1 if self._fixed else 2) if self._random_crop else 0
        self._draws_per_image = bool(len(self._levels)) + param.mirror + own
        self._last: tuple[Shape, list[tuple[int, int]]] = ((0, 0, 0), [])

    def check_records(self, encoded: bool) -> None:
        """Refuses fields that have no effect on records that are encoded, or on others, in the fork.

        Raises:
            DataError: there is such a field.
        """
        super().check_records(encoded)
        if self.param.flow and encoded:
            raise DataError(
                "transform_param.flow has no effect on encoded records in Intel's fork: leave it out"
            )
        if self.param.pad and not encoded:
            raise DataError(
                "transform_param.pad has no effect on records that are not encoded in Intel's fork: leave it "
                "out"
            )

    def _needs_stream(self) -> bool:
        return super()._needs_stream() or len(self._levels) > 0

    def fit(self, shape: Shape) -> Fit:
        """What is done to images of `shape`, (C, H, W)."""
        fit = super().fit(shape)
        C, height, width = fit.top_shape
        pad = 2 * self.param.pad
        return fit._replace(top_shape=(C, height + pad, width + pad)) if pad else fit

    def places(self, fit: Fit, draws: Draws) -> Places:
        """What becomes of images of one shape, by their draws."""
        columns = [draws[:, i].astype(np.int64) for i in range(draws.shape[1])]
        count = len(draws)
        _, H, W = fit.shape
        crop = self._crop if max(self._crop) else (H, W)
        tall, wide = np.full(count, H), np.full(count, W)
        levels = None
        if len(self._levels):
            levels = columns.pop(0) % len(self._levels)
            tall, wide = (np.rint(np.float32(n) * self._levels).astype(np.int64)[levels] for n in (H, W))
            if tall.min() < crop[0] or wide.min() < crop[1]:
                raise DataError(
                    f"multi_scale_levels make {self._images} of {H} x {W} smaller than the crop of "
                    f"{crop[0]} x {crop[1]}"
                )
        mirrored = columns.pop(0) % 2 if self.param.mirror else np.zeros(count, np.int64)
        sizes: Numbers = np.tile(np.array(crop), (count, 1))
        if self._sized:
            known = self._sizes_for(fit.shape)
            sizes = np.array(known)[columns.pop(0) % len(known)]
        rooms = np.stack([tall, wide], axis=1) - sizes
        if self._fixed:
            all_places = np.array(_CORNERS + (_BETWEEN if self.param.more_fix_crop else ()))
            corners = all_places[columns.pop(0) % len(all_places)] * (rooms // 4)
        elif self._random_crop:
            corners = np.stack(columns[:2], axis=1) % (rooms + 1)
        else:
            corners = rooms // 2
        return Places(fit, corners[:, 0], corners[:, 1], mirrored, sizes, levels)

    def _sizes_for(self, shape: Shape) -> list[tuple[int, int]]:
        """The sizes of crops of images of one shape."""
        if self._last[0] != shape:
            _, H, W = shape
            self._last = shape, crop_sizes(H, W, self._crop, self._ratios, self.param.max_distort)
        if not self._last[1]:
            raise DataError(f"multi_scale finds no size of crops for {self._images} of shape {shape}")
        return self._last[1]

    def apply(self, images: Values, places: Places, out: Floats) -> None:
        """Transforms images of one shape, one by one."""
        for i, values in enumerate(images):
            self.apply_to_one(values, places, i, out[i])

    def apply_to_one(self, image: Values, places: Places, index: int, out: Floats) -> None:
        """Transforms an image, (C, H, W), into `out`, of the shape that `fit` says."""
        part = self._part(image, places, index)
        mirrored = int(places.mirrored[index])
        if mirrored and (self.param.is_flow or (self.param.flow and len(part) > 2)):
            part = part.copy()
            inverted = slice(0, None, 2) if self.param.is_flow else slice(2, 3)
            part[inverted] = 255 - part[inverted]
        mean = places.fit.mean
        if mean.shape[1:] != (1, 1):
            row, column = (0, 0) if self.param.multi_scale else (places.rows[index], places.columns[index])
            mean = mean[:, row : row + part.shape[1], column : column + part.shape[2]]
            mean = np.ascontiguousarray(mean)
        pad = self.param.pad
        values = np.ascontiguousarray(part)
        inner = np.empty(values.shape, np.float32) if pad else out
        zero = np.zeros(1, np.int64)
        transform.transform(
            values[np.newaxis], mean, self._scale, zero, zero, np.array([mirrored]), inner[np.newaxis]
        )
        if pad:
            self._put_zeros_around(inner, mean, bool(mirrored), out)

    def _part(self, picture: Values, places: Places, index: int) -> Values:
        """The crop of an image, resized where it is not of the size wanted."""
        assert places.sizes is not None
        if places.levels is not None:
            picture = self._scaled(picture, self._levels[places.levels[index]])
        row, column = places.rows[index], places.columns[index]
        height, width = places.sizes[index]
        part = picture[:, row : row + height, column : column + width]
        wanted = self._crop if max(self._crop) else (height, width)
        if (height, width) == wanted:
            return part
        return self._resized(part, wanted)

    def _scaled(self, picture: Values, factor: np.float32) -> Values:
        if factor == 1:
            return picture
        height, width = (int(np.rint(np.float32(n) * factor)) for n in picture.shape[1:])
        return self._resized(picture, (height, width), float(factor))

    def _resized(self, picture: Values, size: tuple[int, int], factor: float | None = None) -> Values:
        if picture.dtype != np.uint8:
            raise DataError("multi_scale and multi_scale_levels are for pictures of bytes")
        pixels: npt.NDArray[np.uint8] = np.ascontiguousarray(picture.transpose(1, 2, 0))
        resized: Values = image.resize(pixels, *size, factor).transpose(2, 0, 1)
        return resized

    def _put_zeros_around(self, inner: Floats, mean: Floats, mirrored: bool, out: Floats) -> None:
        """Writes what is left of an image, and zeros on its sides.

        Args:
            inner: (C, h, w). mean: (C, 1, 1). mirrored: whether `inner` is. out: (C, h + 2 pad, w + 2 pad).
        """
        pad, has_mean = self.param.pad, len(self.param.mean_value) > 0
        height, width = inner.shape[1:]
        below, right = slice(pad, pad + height + 1), slice(pad, pad + width + 1)
        out.fill(0)
        view = out[:, :, ::-1] if mirrored else out
        # The row and the column behind the image are zeros of which the mean is subtracted.
        view[:, below, right] = (0 - mean) * self._scale
        view[:, pad : pad + height, pad : pad + width] = inner[:, :, ::-1] if mirrored else inner
        if has_mean:
            np.rint(out, out=out)


class ClipTransformer(ForkTransformer):
    """Transforms clips, all of whose frames are cropped and mirrored alike.

    The channels of an item are those of its frames. Where `split` is set, a mean value for each channel is
    for that of each frame, and tops have an axis for the frames; otherwise a list of mean values is repeated
    until there is one for each channel.

    Args:
        param, phase, folder: as for Transformer. frames: L, of each clip. split: whether an item has C L
            channels, the frames of one after the other, and becomes (C, L, height, width).
    """

    def __init__(
        self,
        param: caffe_pb2.TransformationParameter,
        phase: int,
        folder: Path | None,
        frames: int,
        split: bool,
    ) -> None:
        self._frames, self._split = frames, split
        super().__init__(param, phase, folder, "clips", prepares=False)

    def read_mean(self, path: Path) -> Floats:
        """The mean of a file: of clips, (C L, H, W), or of images, (C, H, W), for all frames alike."""
        mean = binaryproto.read(path)
        shape = mean.shape
        if mean.ndim in (4, 5) and len(mean) == 1:
            mean = mean[0]
        if mean.ndim == 4:
            mean = mean.reshape(-1, *mean.shape[2:])
        elif mean.ndim == 3 and self._split:
            mean = mean.repeat(self._frames, axis=0)
        if mean.ndim != 3:
            raise DataError(f"mean_file '{path}' has shape {shape}: a mean has shape (1, C, H, W)")
        return np.ascontiguousarray(mean, np.float32)

    def _mean_for(self, shape: Shape) -> Floats:
        values, channels = list(self.param.mean_value), shape[0]
        if self._mean_image is not None or len(values) < 2:
            return super()._mean_for(shape)
        if len(values) != channels and channels % len(values):
            raise DataError(
                f"{len(values)} mean_values do not fit {self._images} of {channels} channels: give one, or a "
                "number that divides these"
            )
        mean = np.array(values, np.float32)
        share = channels // len(values)
        mean = mean.repeat(share) if self._split else np.tile(mean, share)
        return mean.reshape(-1, 1, 1)

    def fit(self, shape: Shape) -> Fit:
        """What is done to clips of `shape`, (C L, H, W)."""
        fit = super().fit(shape)
        if not self._split:
            return fit
        channels, height, width = fit.top_shape
        return fit._replace(top_shape=(channels // self._frames, self._frames, height, width))

    def apply_to_one(self, image: Values, places: Places, index: int, out: Floats) -> None:
        """Transforms a clip into `out`, of the shape that `fit` says."""
        super().apply_to_one(image, places, index, out.reshape(-1, *out.shape[-2:]))
