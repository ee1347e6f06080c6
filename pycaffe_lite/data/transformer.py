"""Transformer: scale, mean, crop and mirror of a layer's transform_param, applied to a batch of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data.datum import Values
from pycaffe_lite.errors import ArgumentError, DataError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.kernels import transform
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve
from pycaffe_lite.random import RandomStream

Shape = tuple[int, int, int]


class Transformer:
    """y = (crop of x − mean) · scale, mirrored or not; in float32, in Caffe's order.

    In phase TRAIN the place of the crop is drawn, otherwise it is the centre; whether to mirror is drawn in
    either phase. These draws come from a stream of its own, which `seed_from` seeds.

    Args:
        param: the layer's transform_param.
        phase: caffe_pb2.TRAIN or caffe_pb2.TEST.
        folder: where mean_file is looked for besides the working directory.

    Raises:
        FileLookupError: the mean file is not there.
        DataError: it cannot be read, or settings contradict each other.

    Source: BVLC/caffe src/caffe/data_transformer.cpp
    """

    def __init__(self, param: caffe_pb2.TransformationParameter, phase: int, folder: Path | None) -> None:
        if param.mean_value and param.HasField("mean_file"):
            raise DataError("transform_param has both mean_file and mean_value: leave one out")
        if param.force_color and param.force_gray:
            raise DataError("transform_param has both force_color and force_gray: leave one out")
        self.param = param
        self._random_crop = param.crop_size > 0 and phase == caffe_pb2.TRAIN
        self._stream: RandomStream | None = None
        self._mean_image: npt.NDArray[np.float32] | None = None
        if param.HasField("mean_file"):
            self._mean_image = _read_mean(resolve(param.mean_file, folder))
        self._mean = np.zeros((0, 1, 1), np.float32)
        self._item_shape: Shape = (0, 0, 0)
        self._top_shape: Shape = (0, 0, 0)

    @property
    def color(self) -> bool | None:
        """How encoded images are to be decoded: True: colour, False: grey, None: as they are."""
        return True if self.param.force_color else False if self.param.force_gray else None

    def seed_from(self, stream: RandomStream) -> None:
        """Seeds the private stream with a draw of `stream`; where nothing is random, draws nothing."""
        if self.param.mirror or self._random_crop:
            self._stream = RandomStream(stream.raw())

    def state(self) -> bytes:
        """Where the private stream stands; empty where there is none."""
        return self._stream.state() if self._stream else b""

    def set_state(self, state: bytes) -> str:
        """Goes on from where `state()` was taken, if there was a stream, too.

        Returns:
            What starts afresh instead, in words; empty where nothing does.
        """
        if self._stream:
            try:
                self._stream.set_state(state)
            except ArgumentError:
                return "its random crops and mirroring start afresh"
        return ""

    def top_shape(self, shape: Shape) -> Shape:
        """What becomes of an item of `shape`, (C, H, W).

        Raises:
            DataError: the crop or the mean does not fit such items.
        """
        if shape == self._item_shape:
            return self._top_shape
        C, H, W = shape
        crop = self.param.crop_size
        if crop > min(H, W):
            raise DataError(
                f"crop_size {crop} does not fit records of shape {shape}: make it {min(H, W)} at most"
            )
        self._mean = self._mean_for(shape)
        self._item_shape, self._top_shape = shape, (C, crop or H, crop or W)
        return self._top_shape

    def _mean_for(self, shape: Shape) -> npt.NDArray[np.float32]:
        values = self.param.mean_value
        if self._mean_image is not None:
            if self._mean_image.shape != shape:
                raise DataError(
                    f"mean_file '{self.param.mean_file}' has shape {self._mean_image.shape}, "
                    f"the records have {shape}: make the mean of these records"
                )
            return self._mean_image
        if len(values) > 1 and len(values) != shape[0]:
            raise DataError(
                f"{len(values)} mean_values do not fit records of shape {shape}: give one, or {shape[0]}"
            )
        mean = np.zeros((shape[0], 1, 1), np.float32)
        if values:
            mean[:, 0, 0] = values
        return mean

    def apply(self, items: Values, out: npt.NDArray[np.float32]) -> None:
        """Transforms a batch.

        Args:
            items: (N, C, H, W) uint8 or float32, of a shape that `top_shape` has seen last.
            out: (N, *top_shape), overwritten.
        """
        N = len(items)
        _, H, W = self._item_shape
        _, height, width = self._top_shape
        rows = np.full(N, (H - height) // 2)
        columns = np.full(N, (W - width) // 2)
        mirrored = np.zeros(N, bool)
        if self._stream:
            per_item = self.param.mirror + 2 * self._random_crop
            draws = self._stream.raw_array(N * per_item).reshape(N, per_item)
            if self.param.mirror:
                mirrored = draws[:, 0] % 2 == 1
            if self._random_crop:
                rows[:] = draws[:, -2] % (H - height + 1)
                columns[:] = draws[:, -1] % (W - width + 1)
        transform.transform(items, self._mean, np.float32(self.param.scale), rows, columns, mirrored, out)


def _read_mean(path: Path) -> npt.NDArray[np.float32]:
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
