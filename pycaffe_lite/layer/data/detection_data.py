"""DetectionData and EvalData: batches of pictures with boxes from a list, made ahead."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pycaffe_lite import random
from pycaffe_lite.data import distortion
from pycaffe_lite.data.anchor_labels import grid_size
from pycaffe_lite.data.detection_list import DetectionList, read_detections
from pycaffe_lite.data.detection_pictures import DetectionSource, EvalSource, PictureReader
from pycaffe_lite.data.prefetch import Batch
from pycaffe_lite.errors import DataError
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.data.prefetching import (
    CLASSIFIER_AUGMENTATION,
    COLOR_ORDERS,
    CROPS_OF_FORKS,
    OF_ANNOTATED_DATA,
    OF_DATA_ALONE,
    OF_SEGMENTATION_DATA,
    PREPARATIONS,
    PrefetchingLayer,
)
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve
from pycaffe_lite.random import RandomStream

log = logging.getLogger(__name__)

_CHANNELS = 3
_COORDINATES = 4
_SHUFFLES = ("random", "random_aspect", "random_mix_aspect")
# Fields that count in pairs.
_PAIRS = (
    ("resize_width", "resize_height"), ("crop_width", "crop_height"), ("short_size", "long_size"),
    ("crop_short_size", "crop_long_size"), ("min_scale", "max_scale"),
    ("low_scale_ratio", "high_scale_ratio"), ("min_whaspect", "max_whaspect"),
)  # fmt: skip
_SIZES = ("resize_width", "resize_height", "resize_ratio", "crop_width", "crop_height", "short_size",
          "crop_short_size")  # fmt: skip
_WITHOUT_EFFECT = {
    "mean_file": "write mean_value instead",
    **dict.fromkeys(("crop_size", "crop_h", "crop_w", "crop_height", "crop_width"), ""),
    **dict.fromkeys(("force_color", "force_gray"), ""),
    **PREPARATIONS,
    **COLOR_ORDERS,
    **CROPS_OF_FORKS,
    **CLASSIFIER_AUGMENTATION,
    **OF_ANNOTATED_DATA,
    **OF_SEGMENTATION_DATA,
}

P = TypeVar("P", caffe_pb2.DetectionDataParameter, caffe_pb2.EvalDataParameter)


class ListedLayer(PrefetchingLayer[P]):
    """Reads a list of pictures and their boxes (see `data/detection_list.py`)."""

    also_reads = ("transform_param", "data_param")

    def check_pairs(self) -> None:
        """Refuses fields that have an effect in pairs only, where one is missing."""
        for pair in _PAIRS:
            given = [name for name in pair if name in self.param.DESCRIPTOR.fields_by_name]
            if sum(self.param.HasField(name) for name in given) == 1:
                raise self.error(f"needs both {pair[0]} and {pair[1]}, or neither")

    def reader(self) -> PictureReader:
        """The list, opened."""
        p, folder = self.param, self.context.folder
        path = resolve(p.source, folder)
        log.info("Opening file %s", path)
        pictures: DetectionList = read_detections(path)
        log.info("Number of images: %d", len(pictures.pictures))
        transform = self.layer_param.transform_param
        if len(transform.mean_value) not in (0, 1, _CHANNELS):
            raise DataError(f"{len(transform.mean_value)} mean_values do not fit pictures of 3 channels")
        mean = np.zeros(_CHANNELS, np.float32)
        if transform.mean_value:
            mean[:] = transform.mean_value

        def locate(name: str) -> Path:
            return resolve(p.root_folder + name, folder)

        return PictureReader(pictures, locate, mean, transform.scale)

    def further_values(self, batch: Batch) -> Sequence[npt.NDArray[np.float32]]:
        return batch.others


@register_layer("EvalData", param="eval_data_param", origin="Cascade R-CNN")
class EvalDataLayer(ListedLayer[caffe_pb2.EvalDataParameter]):
    """Batches of the pictures of a list, in their order, with their boxes, for tests of detectors.

    Pictures are resized to resize_height x resize_width, or so that the shorter side is `short_size` and none
    longer than `long_size`, and then to the nearest multiples of 32.

    Top: pictures, (N, 3, H, W), less the mean and times the scale of transform_param; boxes, (G, 8, 1, 1):
    number of the picture, x1, y1, x2, y2, label, ignored, difficult; heights and widths, (N, 2, 1, 1).
    Raises LayerError for larger batches than 1 where no size is given.
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/eval_data_layer.cpp
    """

    min_tops, max_tops = 2, 3

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if not p.batch_size:
            raise self.error("needs eval_data_param.batch_size > 0")
        self.check_pairs()
        if p.batch_size > 1 and not p.HasField("resize_width"):
            raise self.error("needs resize_width and resize_height, or batch_size 1")
        self.say_ignored("eval_data_param", {"scale": "transform_param.scale"})
        self.say_ignored("transform_param", {**_WITHOUT_EFFECT, "mirror": ""})
        self.say_ignored("data_param", OF_DATA_ALONE)
        self.set_up_batches(top, p.batch_size)
        top[1].reshape(1, 8, 1, 1)
        for sizes in top[2:]:
            sizes.reshape(p.batch_size, 2, 1, 1)

    def open(self, labels: bool) -> EvalSource:
        return EvalSource(self.reader(), self.param)


@register_layer("DetectionData", param="detection_data_param", origin="Cascade R-CNN")
class DetectionDataLayer(ListedLayer[caffe_pb2.DetectionDataParameter]):
    """Batches of pictures of a list, changed at random, with labels for anchors, to train detectors.

    In order, a picture is: changed in its colours by `distort_param`; mirrored; resized to resize_height x
    resize_width, by `resize_ratio`, or so that the shorter side is `short_size`; scaled, with the
    probability `multiscale_prob`, by a factor between `low_scale_ratio` and `high_scale_ratio`, or so that
    a box is between `min_scale` and `max_scale` large, at a ratio of sides between `min_whaspect` and
    `max_whaspect`; and put into an item of the crop's size, about a box that is drawn, or in the middle,
    give or take 10 pixels. Random numbers are drawn in the fork's order.

    Top: pictures, (N, 3, H, W), less the mean and times the scale of transform_param; for each `stride`
    label maps, (N, 6, H / stride, W / stride): label, the box's middle, width and height, the overlap (see
    `data/anchor_labels.py`); with `output_gt_boxes`, boxes, (G, 8, 1, 1), as of EvalData.
    Raises LayerError for settings that contradict each other.
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/detection_data_layer.cpp
    """

    min_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if not p.batch_size:
            raise self.error("needs detection_data_param.batch_size > 0")
        self.check_pairs()
        problem = self._problem(len(top))
        if problem:
            raise self.error(problem)
        if p.HasField("distort_param"):
            try:
                distortion.check_distortion(p.distort_param)
            except DataError as error:
                raise self.error(str(error)) from None
        self.say_ignored(
            "detection_data_param", {"scale": "transform_param.scale", "resize_param": "", "cache_images": ""}
        )
        self.say_ignored("transform_param", _WITHOUT_EFFECT)
        self.say_ignored("data_param", OF_DATA_ALONE)
        self.set_up_batches(top, p.batch_size)
        for blob, stride in zip(top[1:], p.stride, strict=False):
            rows, columns = grid_size((top[0].shape[2], top[0].shape[3]), stride)
            blob.reshape(p.batch_size, 2 + _COORDINATES, rows, columns)
        for blob in top[1 + len(p.stride) :]:
            blob.reshape(1, 8, 1, 1)

    def _problem(self, tops: int) -> str:
        """What is wrong with the settings, in words; empty for nothing."""
        p = self.param
        sizes = [name for name in ("resize_width", "resize_ratio", "short_size") if p.HasField(name)]
        low, high = (p.low_scale_ratio, p.high_scale_ratio) if p.HasField("low_scale_ratio") else (1, 1)
        for is_wrong, words in (
            (tops != 1 + len(p.stride) + p.output_gt_boxes, f"takes a top for pictures, one for each of "
             f"{len(p.stride)} strides, and one for boxes with output_gt_boxes, got {tops}"),
            (p.coord_num != _COORDINATES, f"needs coord_num 4, got {p.coord_num}"),
            (not len(p.stride) == len(p.field_h) == len(p.field_w),
             "needs as many stride, field_h and field_w"),
            (0 in (*p.stride, *p.field_h, *p.field_w), "needs stride, field_h and field_w above 0"),
            (any(p.HasField(name) and not getattr(p, name) for name in _SIZES),
             f"needs {', '.join(_SIZES)} above 0 where they are given"),
            (len(sizes) > 1, f"has {' and '.join(sizes)}: leave one out"),
            (p.HasField("crop_width") and p.HasField("crop_short_size"),
             "has crop_width and crop_short_size: leave one out"),
            (p.HasField("low_scale_ratio") and p.HasField("min_scale"),
             "has low_scale_ratio and min_scale: leave one out"),
            (not 0 < low <= high, f"needs 0 < low_scale_ratio <= high_scale_ratio, got {low:g} and {high:g}"),
            (p.HasField("min_scale") and not 0 < p.min_scale <= p.max_scale,
             f"needs 0 < min_scale <= max_scale, got {p.min_scale:g} and {p.max_scale:g}"),
            (p.HasField("min_whaspect") and not 0 < p.min_whaspect < p.max_whaspect,
             f"needs 0 < min_whaspect < max_whaspect, got {p.min_whaspect:g} and {p.max_whaspect:g}"),
            (not 0 <= p.multiscale_prob <= 1,
             f"needs multiscale_prob from 0 to 1, got {p.multiscale_prob:g}"),
            (p.fg_threshold <= 0, f"needs fg_threshold above 0, got {p.fg_threshold:g}"),
            (p.shuffle not in _SHUFFLES, f"unknown shuffle '{p.shuffle}' (known: {', '.join(_SHUFFLES)})"),
            (not p.mix_group_size, "needs mix_group_size above 0"),
        ):  # fmt: skip
            if is_wrong:
                return words
        return ""

    def open(self, labels: bool) -> DetectionSource:
        stream, mirror = random.stream(), self.layer_param.transform_param.mirror
        if mirror:
            stream.raw()  # of a transformer that is not used, seeded twice, as in Caffe
        seed = stream.raw()
        reader = self.reader()
        if mirror:
            stream.raw()
        return DetectionSource(reader, self.param, mirror, seed, RandomStream(stream.raw()))
