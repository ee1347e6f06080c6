"""AnnotatedData: batches of pictures with the boxes of their objects, made ahead."""

from __future__ import annotations

import logging

from pycaffe_lite import random
from pycaffe_lite.data import distortion, noise, resizing
from pycaffe_lite.data.annotated import AnnotatedSource
from pycaffe_lite.data.database import open_database
from pycaffe_lite.data.random_order import in_random_order
from pycaffe_lite.errors import DataError
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.data.data import WITHOUT_EFFECT
from pycaffe_lite.layer.data.prefetching import (
    CLASSIFIER_AUGMENTATION,
    OF_SEGMENTATION_DATA,
    PrefetchingLayer,
)
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve
from pycaffe_lite.random import RandomStream

log = logging.getLogger(__name__)

# Fields of transform_param that have no effect, where others do not ask for what is refused.
_NOT_OF_BOXES = {
    **OF_SEGMENTATION_DATA,
    **CLASSIFIER_AUGMENTATION,
    **dict.fromkeys(("scale_ratios", "max_distort", "more_fix_crop", "is_flow", "flow", "bgr2rgb"), ""),
}
_SURE = 1e-2  # how far the sum of probabilities may be from 1


@register_layer("AnnotatedData", param="annotated_data_param", origin="SSD")
class AnnotatedDataLayer(PrefetchingLayer[caffe_pb2.AnnotatedDataParameter]):
    """Batches of pictures and boxes from a database of AnnotatedDatum records, changed at random if asked to.

    A record's picture goes through these steps, and its boxes with it: `distort_param` changes its colours,
    `expand_param` puts it on a larger canvas, a `batch_sampler` cuts a part out, `resize_param` resizes it,
    `noise_param` adds noise; then come crop, mirroring, mean and scale. After each of the first three an
    encoded picture becomes a JPEG again, as in the fork, and loses a little. Boxes that leave the picture
    go, and those that `emit_constraint` does not let stay; the rest is clipped.

    Several `resize_param`, with probabilities that sum to 1, are MobileNet-YOLO's: one is drawn for each
    batch. There, too, `yolo_data_type: 1` makes labels for Yolov3, of difficult boxes unless
    `train_diffcult` is false, and draws crops by `yolo_data_jitter`; `cvt_bgr2rgb` turns channels round.

    Top: pictures, (N, C, H, W); boxes, (1, 1, G, 8): number of the picture, group_label, instance_id, xmin,
    ymin, xmax, ymax, difficult, relative to the picture; one row of -1 where the batch has no box. With
    `yolo_data_type: 1`, (N, 1, 300, 5): class, centre, width and height, and zeros. Where neither the records
    nor `anno_type` say what annotations are, the second top has the labels, (N, 1, 1, 1).
    Raises LayerError for settings that contradict each other or cannot be drawn from.
    Source: weiliu89/caffe src/caffe/layers/annotated_data_layer.cpp
    """

    min_tops = 1
    max_tops = 2
    also_reads = ("transform_param", "data_param")
    takes_share = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        transform, batch_size = self.layer_param.transform_param, self.layer_param.data_param.batch_size
        if not batch_size:
            raise self.error("needs data_param.batch_size > 0")
        if self.param.label_map_file:
            log.info(
                "label_map_file '%s' is not read: it is for programs that draw", self.param.label_map_file
            )
        if self.param.HasField("anno_type"):
            log.info("anno_type counts, whatever type a record says it is of")
        if self.param.yolo_data_type not in (0, 1):
            raise self.error(f"unknown yolo_data_type {self.param.yolo_data_type} (known: 0, 1)")
        try:
            self._check(transform, batch_size)
        except DataError as error:
            raise self.error(str(error)) from None
        self.say_ignored("transform_param", _NOT_OF_BOXES)
        self.say_ignored("data_param", WITHOUT_EFFECT)
        self.set_up_batches(top, batch_size)
        if len(top) > 1:
            top[1].reshape(*self._annotated.label_shape())

    @staticmethod
    def _check(transform: caffe_pb2.TransformationParameter, batch_size: int) -> None:
        for name in ("random_resize_param", "random_aspect_ratio_param"):
            if transform.HasField(name):
                raise DataError(f"takes no {name}, which does not carry boxes along: use a batch_sampler")
        for name in ("multi_scale", "fix_crop", "original_image", "pad", "enable_classf_aug"):
            if getattr(transform, name):
                raise DataError(f"takes no {name}, which does not carry boxes along: leave it out")
        if transform.multi_scale_levels:
            raise DataError("takes no multi_scale_levels, which do not carry boxes along: leave them out")
        for resize in transform.resize_param:
            resizing.check(resize)
            if resize.resize_mode == caffe_pb2.ResizeParameter.FIT_SMALL_SIZE and batch_size != 1:
                raise DataError("needs data_param.batch_size 1 for resize_mode FIT_SMALL_SIZE")
        total = sum(resize.prob for resize in transform.resize_param)
        if len(transform.resize_param) > 1 and abs(total - 1) > _SURE:
            raise DataError(f"needs resize_params whose prob sum to 1, got {total:g}")
        if transform.HasField("distort_param"):
            distortion.check_distortion(transform.distort_param)
        if transform.HasField("expand_param"):
            if not transform.expand_param.max_expand_ratio > 1:
                raise DataError(
                    f"needs max_expand_ratio above 1, got {transform.expand_param.max_expand_ratio:g}"
                )
            if transform.HasField("mean_file"):
                raise DataError(
                    "needs mean_value, not mean_file, beside expand_param: canvases differ in size"
                )
        if transform.HasField("noise_param"):
            noise.check(transform.noise_param)

    def open(self, labels: bool) -> AnnotatedSource:
        data, folder, stream = self.layer_param.data_param, self.context.folder, random.stream()
        reading = RandomStream(stream.raw())  # that of the thread that reads records
        transformer = self.transformer("records", prepares=False, without=_NOT_OF_BOXES)
        path = resolve(data.source, folder)
        reader = in_random_order(
            open_database(path, data.backend), data, self.phase, reading, self.context.share
        )
        transformer.seed_from(stream)
        transformer.seed_from(stream)
        own = RandomStream(stream.raw())
        self._annotated = AnnotatedSource(
            reader, transformer, data.batch_size, labels, own, self.param, self.context.share
        )
        return self._annotated
