"""Transformer: scale, mean, crop and mirror of a layer's transform_param, applied to images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image as pictures
from pycaffe_lite.data.datum import Values
from pycaffe_lite.data.preparation import Preparation, check_records
from pycaffe_lite.errors import ArgumentError, DataError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.kernels import transform
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve
from pycaffe_lite.random import RandomStream

Shape = tuple[int, int, int]
Draws = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]


class Fit(NamedTuple):
    """What the transformer does to images of one shape, apart from what it draws.

    Attributes:
        shape: of the images, (C, H, W).
        top_shape: of what becomes of them; of clips, (C, L, height, width).
        mean: (C, H, W), or (C, 1, 1) for one number a channel.
    """

    shape: Shape
    top_shape: tuple[int, ...]
    mean: npt.NDArray[np.float32]


class Places(NamedTuple):
    """Which parts of some images are kept.

    Attributes:
        fit: what is done to images of their shape.
        rows, columns: (N,) the first that are kept of each image.
        mirrored: (N,) 1 for images that are mirrored, else 0.
        sizes: (N, 2) heights and widths of these parts, which are then resized to those of the crops; None:
            they have them.
        levels: (N,) in which of several sizes each image is taken; None: in its own.
    """

    fit: Fit
    rows: Numbers
    columns: Numbers
    mirrored: Numbers
    sizes: Numbers | None = None
    levels: Numbers | None = None


class Transformer:
    """y = (crop of x − mean) · scale, mirrored or not; in float32, in Caffe's order.

    In phase TRAIN the place of the crop is drawn, otherwise it is the centre; whether to mirror is drawn in
    either phase. These draws come from a stream of its own, which `seed_from` seeds. They are drawn apart
    from what is done with them, so that several threads may work on the images at once.

    Args:
        param: the layer's transform_param.
        phase: caffe_pb2.TRAIN or caffe_pb2.TEST.
        folder: where mean_file is looked for besides the working directory.
        images: what the images are called in messages, "records".
        prepares: whether `prepared` does what comes before the crop; else the caller does it.

    Raises:
        FileLookupError: the mean file is not there.
        DataError: it cannot be read, or settings contradict each other.

    Attributes:
        cuts: whether images of bytes may be cut first (`cut`), and the rest be done later (`finish`).

    Source: BVLC/caffe src/caffe/data_transformer.cpp
    """

    cuts = True

    def __init__(
        self,
        param: caffe_pb2.TransformationParameter,
        phase: int,
        folder: Path | None,
        images: str = "records",
        prepares: bool = True,
    ) -> None:
        if param.mean_value and param.HasField("mean_file"):
            raise DataError("transform_param has both mean_file and mean_value: leave one out")
        if param.force_color and param.force_gray:
            raise DataError("transform_param has both force_color and force_gray: leave one out")
        self.param = param
        self._crop = crop_of(param)
        self.preparation = Preparation(param, phase) if prepares else None
        self._seeds: RandomStream | None = None
        self._random_crop = max(self._crop) > 0 and phase == caffe_pb2.TRAIN and not param.center_crop
        self._stream: RandomStream | None = None
        self._mean_image: npt.NDArray[np.float32] | None = None
        if param.HasField("mean_file"):
            self._mean_image = self.read_mean(resolve(param.mean_file, folder))
        self._images = images
        self._scale = np.float32(param.scale)
        self._draws_per_image = param.mirror + 2 * self._random_crop
        self._last_fit = Fit((0, 0, 0), (0, 0, 0), np.zeros((0, 1, 1), np.float32))

    def read_mean(self, path: Path) -> Floats:
        """The mean of a file, (C, H, W)."""
        return read_mean(path)

    @property
    def color(self) -> bool | None:
        """How encoded images are to be decoded: True: colour, False: grey, None: as they are."""
        return True if self.param.force_color else False if self.param.force_gray else None

    def seed_from(self, stream: RandomStream) -> None:
        """Seeds the private stream with a draw of `stream`; where nothing is random, draws nothing."""
        if self._needs_stream():
            self._stream = RandomStream(stream.raw())

    def _needs_stream(self) -> bool:
        return bool(self.param.mirror or self._random_crop)

    def seed_preparation(self, seed: int) -> None:
        """Seeds what `prepared` draws: in the forks the stream of the thread that reads."""
        if self.preparation is not None and self.preparation.is_random:
            self._seeds = RandomStream(seed)

    def state(self) -> bytes:
        """Where the private streams stand; empty where there is none."""
        return b"".join(stream.state() for stream in (self._stream, self._seeds) if stream)

    def set_state(self, state: bytes) -> str:
        """Goes on from where `state()` was taken, if there were the same streams.

        Returns:
            What starts afresh instead, in words; empty where nothing does.
        """
        streams = [stream for stream in (self._stream, self._seeds) if stream]
        if streams and len(state) % len(streams):
            return "its random crops and mirroring start afresh"
        size = len(state) // max(len(streams), 1)
        for i, stream in enumerate(streams):
            try:
                stream.set_state(state[i * size : (i + 1) * size])
            except ArgumentError:
                return "its random crops and mirroring start afresh"
        return ""

    def check_records(self, encoded: bool) -> None:
        """Refuses fields that are for records of another kind.

        Args:
            encoded: whether the records are encoded pictures.

        Raises:
            DataError: there is such a field.
        """
        check_records(self.param, encoded)

    @property
    def prepares(self) -> bool:
        """Whether `prepared` does anything."""
        return bool(self.preparation)

    def draw_seeds(self, count: int) -> Sequence[int]:
        """The seeds of the preparation of the next images."""
        return [0] * count if self._seeds is None else self._seeds.raw_array(count).tolist()

    def prepared(self, image: Values, seed: int) -> Values:
        """An image, (C, H, W), as it is before its crop; of other sizes perhaps."""
        return self.preparation.apply(image, seed) if self.preparation else image

    def fit(self, shape: Shape) -> Fit:
        """What is done to images of `shape`, (C, H, W).

        Raises:
            DataError: the crop or the mean does not fit such images.
        """
        last = self._last_fit
        if shape == last.shape:
            return last
        C, H, W = shape
        height, width = self._crop
        if height > H or width > W:
            if self.param.crop_size:
                crop = f"crop_size {self.param.crop_size}"
                cure = f"make it {min(H, W)} at most"
            else:
                crop = f"a crop of {height} x {width}"
                cure = f"make it {H} x {W} at most"
            raise DataError(f"{crop} does not fit {self._images} of shape {shape}: {cure}")
        fit = self._last_fit = Fit(shape, (C, height or H, width or W), self._mean_for(shape))
        return fit

    def _mean_for(self, shape: Shape) -> npt.NDArray[np.float32]:
        values = self.param.mean_value
        if self._mean_image is not None:
            if self._mean_image.shape != shape:
                raise DataError(
                    f"mean_file '{self.param.mean_file}' has shape {self._mean_image.shape}, "
                    f"the {self._images} have {shape}: make the mean of these {self._images}"
                )
            return self._mean_image
        if len(values) > 1 and len(values) != shape[0]:
            raise DataError(
                f"{len(values)} mean_values do not fit {self._images} of shape {shape}: give one, or "
                f"{shape[0]}"
            )
        mean = np.zeros((shape[0], 1, 1), np.float32)
        if values:
            mean[:, 0, 0] = values
        return mean

    def draw(self, count: int) -> Draws:
        """The draws of the next images: (count, draws of an image)."""
        if self._stream is None:
            return np.empty((count, 0), np.uint32)
        return self._stream.raw_array(count * self._draws_per_image).reshape(count, self._draws_per_image)

    def places(self, fit: Fit, draws: Draws) -> Places:
        """What becomes of images of one shape, by their draws."""
        _, H, W = fit.shape
        _, height, width = fit.top_shape
        count = len(draws)
        random = self._random_crop
        return Places(
            fit,
            draws[:, -2].astype(np.int64) % (H - height + 1) if random else np.full(count, (H - height) // 2),
            draws[:, -1].astype(np.int64) % (W - width + 1) if random else np.full(count, (W - width) // 2),
            draws[:, 0].astype(np.int64) % 2 if self.param.mirror else np.zeros(count, np.int64),
        )

    def apply(self, images: Values, places: Places, out: Floats) -> None:
        """Transforms images of one shape.

        Args:
            images: (N, C, H, W) uint8 or float32, C-contiguous.
            places: theirs.
            out: (N, *top_shape), overwritten.
        """
        fit, rows, columns, mirrored = places[:4]
        transform.transform(images, fit.mean, self._scale, rows, columns, mirrored, out)

    def apply_to_one(self, image: Values, places: Places, index: int, out: Floats) -> None:
        """Transforms an image, which need not be contiguous: that of a picture is (H, W, C) in memory.

        Args:
            image: (C, H, W) uint8 or float32.
            places: its own and those of others.
            index: which of them is its own.
            out: (top_shape), overwritten.
        """
        fit, rows, columns, mirrored = places[:4]
        pixels = None if image.flags.c_contiguous else _pixels_of(image)
        if pixels is not None:
            row, column, is_mirrored = rows[index], columns[index], mirrored[index]
            transform.picture(pixels, fit.mean, self._scale, row, column, is_mirrored, out)
            return
        values = image if image.flags.c_contiguous else image.copy()
        own = slice(index, index + 1)
        transform.transform(
            values[np.newaxis],
            fit.mean,
            self._scale,
            rows[own],
            columns[own],
            mirrored[own],
            out[np.newaxis],
        )

    def cut(
        self, image: Values, size: tuple[int, int] | None, places: Places, index: int, out: Pixels
    ) -> None:
        """Cuts out of an image what is kept of it; what else is to be done, `finish` does.

        Args:
            image: (C, H, W) uint8, which need not be contiguous, as for `apply_to_one`.
            size: height and width to which it is resized before that; None: it stays as it is.
            places, index: as for `apply_to_one`; they mean the resized image.
            out: (top_shape) uint8, overwritten.
        """
        row, column = places.rows[index], places.columns[index]
        pixels = None if image.flags.c_contiguous and size is None else _pixels_of(image)
        if size is not None:
            if pixels is None:
                pixels = np.ascontiguousarray(image.transpose(1, 2, 0), np.uint8)
            pictures.resize_part(pixels, size, row, column, out)
        elif pixels is not None:
            transform.cut(pixels, row, column, out)
        else:
            _, height, width = out.shape
            out[...] = image[:, row : row + height, column : column + width]

    def finish(self, crops: Pixels, places: Places, out: npt.NDArray[np.floating]) -> None:
        """Transforms images that are cut already: the same numbers as of `apply`.

        Args:
            crops: (N, *top_shape) uint8.
            places: where they were cut; or, where the mean is one number a channel, other places.
            out: (N, *top_shape), overwritten.
        """
        fit, rows, columns, mirrored = places[:4]
        transform.finish(crops, fit.mean, self._scale, rows, columns, mirrored, out)


def crop_of(param: caffe_pb2.TransformationParameter) -> tuple[int, int]:
    """Height and width of the crops; 0 and 0 for none.

    Raises:
        DataError: one of crop_h and crop_w is given without the other, or both otherwise than crop_size,
            which forks of Caffe understand in different ways.
    """
    size = param.crop_size
    if param.crop_height or param.crop_width:
        if param.crop_h or param.crop_w:
            raise DataError(
                "transform_param has crop_height or crop_width, and crop_h or crop_w: leave one out"
            )
        height, width = param.crop_height or size, param.crop_width or size
        if not (height and width):
            raise DataError(
                "transform_param needs both crop_height and crop_width, or crop_size, "
                f"got {height} and {width}"
            )
        return height, width
    own = (param.crop_h, param.crop_w)
    if any(own) and not all(own):
        raise DataError(f"transform_param needs both crop_h and crop_w, got {own[0]} and {own[1]}")
    if any(own) and size and own != (size, size):
        raise DataError(
            f"transform_param has crop_size {size}, and crop_h {own[0]} and crop_w {own[1]}: leave one out"
        )
    return own if any(own) else (size, size)


def _pixels_of(planes: Values) -> Pixels | None:
    """The pixels of a picture, if its planes are a view of such: (H, W, C), or as `memory_of` says."""
    if planes.dtype != np.uint8:
        return None
    pixels: Pixels = planes.transpose(1, 2, 0)
    return pixels if pixels.flags.c_contiguous else pictures.memory_of(pixels.transpose(2, 0, 1))


def read_mean(path: Path) -> npt.NDArray[np.float32]:
    """The mean image of a file: of several, the first, as in Caffe; of clips, (1, C, L, H, W), if L is 1."""
    mean = binaryproto.read(path)
    shape = mean.shape
    if not mean.size:
        raise DataError(f"mean_file '{path}' has shape {shape} and no values")
    if mean.ndim == 5 and shape[2] == 1:
        mean = mean[:, :, 0]
    if mean.ndim == 5 and len(mean) == 1:
        raise DataError(
            f"mean_file '{path}' has shape {shape}, the mean of clips of {shape[2]} frames: records are "
            "single images, whose mean has shape (1, C, H, W)"
        )
    if mean.ndim == 4:
        mean = mean[0]
    if mean.ndim > 3:
        raise DataError(f"mean_file '{path}' has shape {shape}: a mean image has shape (1, C, H, W)")
    return np.ascontiguousarray(mean, np.float32)
