"""DetectNetTransformation: random changes of pictures, and the labels of their boxes on a grid."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pycaffe_lite import random
from pycaffe_lite.data import detectnet, resizing
from pycaffe_lite.data.transformer import read_mean
from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve
from pycaffe_lite.random import RandomStream

Floats = npt.NDArray[np.float32]

log = logging.getLogger(__name__)

_CHANNELS = 3
_ROW = 16  # numbers of a box
_CLASS = 5  # which of them is its class


@register_layer("DetectNetTransformation", param="detectnet_groundtruth_param", origin="NVIDIA's Caffe")
class DetectNetTransformationLayer(Layer[caffe_pb2.DetectNetGroundTruthParameter]):
    """Changes pictures at random, and makes labels of a grid out of their boxes, for DetectNet.

    In TRAIN, by `detectnet_augmentation_param`, in order: another hue and paler colours; the mean of
    transform_param is subtracted; mirroring; scaling, bicubic; turning; a part of image_size_y x
    image_size_x, 0 where it is outside of the picture. In TEST pictures are scaled to that size. Random
    numbers come from a stream of the layer's own, in the fork's order.

    Bottom: pictures, (N, 3, H, W), blue first; boxes, (N, 1, R, 16): a row with their number and 16, then a
    row for each, with left, top, width, height, an angle, the class, and ten numbers that are not read.
    Top: pictures, (N, 3, image_size_y, image_size_x); labels, (N, 8 + classes, rows, columns) for cells of
    stride x stride: whether the cell belongs to an object, the box's left, top, right and bottom edge
    relative to the cell, 1 / width, 1 / height, a weight, and a 1 for its class. No gradient.
    Raises LayerError for another number of channels, or of boxes and pictures, and rows of other lengths.
    Source: NVIDIA/caffe src/caffe/layers/detectnet_transform_layer.cpp, the code for CPUs
    """

    exact_bottoms = exact_tops = 2
    also_reads = ("detectnet_augmentation_param", "transform_param")

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p, transform = self.param, self.layer_param.transform_param
        if not (p.stride and p.image_size_x and p.image_size_y):
            raise self.error("needs stride, image_size_x and image_size_y above 0")
        self.size = p.image_size_y, p.image_size_x
        self.grid = detectnet.Grid(p)
        if transform.mean_value and transform.HasField("mean_file"):
            raise self.error("has both mean_file and mean_value: leave one out")
        if len(transform.mean_value) not in (0, 1, _CHANNELS):
            raise self.error(f"needs one mean_value, or {_CHANNELS}, got {len(transform.mean_value)}")
        self.mean: Floats | None = None
        if transform.mean_value:
            self.mean = np.full((_CHANNELS, 1, 1), 0, np.float32)
            self.mean[:, 0, 0] = transform.mean_value
        elif transform.HasField("mean_file"):
            self.mean = read_mean(resolve(transform.mean_file, self.context.folder))
        for field, _ in transform.ListFields():
            if field.name not in ("mean_value", "mean_file"):
                log.warning("%s: transform_param.%s has no effect, as in its fork", self.where(), field.name)
        self.stream = RandomStream(random.stream().raw())

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) != 4 or shape[1] != _CHANNELS:
            raise self.error(f"needs pictures of shape (N, {_CHANNELS}, H, W), got {shape}")
        if not bottom[1].shape or bottom[1].shape[0] != shape[0]:
            raise self.error(f"needs boxes of {shape[0]} pictures, got shape {bottom[1].shape}")
        top[0].reshape(shape[0], _CHANNELS, *self.size)
        top[1].reshape(shape[0], *self.grid.shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        size = bottom[0].shape[2], bottom[0].shape[3]
        mean = self._mean_of(size)
        for n, picture in enumerate(bottom[0].data):
            boxes, classes = self._boxes(bottom, n)
            changes = detectnet.unchanged(self.size)
            if self.phase == caffe_pb2.TRAIN:
                augmentation = self.layer_param.detectnet_augmentation_param
                changes = detectnet.draw_changes(augmentation, size, self.size, self.stream)
            top[0].data[n] = detectnet.changed(picture, changes, self.size, mean)
            top[1].data[n] = self.grid.labels(detectnet.carried(boxes, changes, size), classes)

    def _mean_of(self, size: tuple[int, int]) -> Floats | None:
        """The mean of pictures of a size; a mean image is scaled to it."""
        mean = self.mean
        if mean is None or mean.shape[1:] in ((1, 1), size):
            return mean
        if len(mean) != _CHANNELS:
            raise self.error(f"needs a mean_file of {_CHANNELS} channels, got shape {mean.shape}")
        pixels = np.ascontiguousarray(mean.transpose(1, 2, 0))
        scaled: Floats = resizing.scaled_floats(pixels, *size).transpose(2, 0, 1)
        return scaled

    def _boxes(self, bottom: Blobs, n: int) -> tuple[Floats, npt.NDArray[np.int64]]:
        """The boxes of a picture, (R, 4), and their classes, (R,)."""
        numbers = bottom[1].data[n].ravel()
        count, length = (int(number) for number in numbers[:2]) if numbers.size > 1 else (0, 0)
        if length != _ROW or not 0 <= count < numbers.size // _ROW:
            raise self.error(
                f"needs boxes as DIGITS writes them, a row with their number and {_ROW}, then {_ROW} numbers "
                f"for each; picture {n} of the batch has {count} rows of {length} in {numbers.size} values"
            )
        rows = numbers[_ROW : _ROW * (count + 1)].reshape(count, _ROW)
        return rows[:, :4].astype(np.float32), rows[:, _CLASS].astype(np.int64)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Computes nothing: pictures and boxes get no gradient."""
        for wanted, blob in zip(propagate_down, bottom, strict=True):
            if wanted:
                blob.diff.fill(0)

    def state(self) -> bytes:
        """Where the layer's random stream stands."""
        return self.stream.state()

    def set_state(self, state: bytes) -> str:
        try:
            self.stream.set_state(state)
        except ArgumentError:
            return "its random changes start afresh"
        return ""
