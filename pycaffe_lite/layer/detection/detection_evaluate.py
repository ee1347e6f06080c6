"""DetectionEvaluate: which detections are right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.detection.ground_truth import BOX, CLASS, DIFFICULT, IMAGE, PADDING, shape_of_rows
from pycaffe_lite.layer.detection.resized import check_resize, in_picture
from pycaffe_lite.layer.detection.save_output import read_names
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve


@register_layer("DetectionEvaluate", param="detection_evaluate_param", origin="SSD")
class DetectionEvaluateLayer(Layer[caffe_pb2.DetectionEvaluateParameter]):
    """Each detection a true or a false positive; the solver makes average precisions of many of these.

    A class's detections take, from the highest score down, the box of their class that they overlap most. If
    that is by `overlap_threshold` at least and no other has taken the box, it is a true positive; a difficult
    box counts neither way unless `evaluate_difficult_gt`; else it is a false one.

    Bottom: detections, (1, 1, M, 7), of DetectionOutput; ground truth, (1, 1, G, 8), up to the first row of
    image -1. Top: (1, 1, R, 5): for each class but the background a row -1, class, number of boxes, -1, -1;
    then for each detection image, class, score, whether it is true, whether it is false; image by image and
    class by class. With a `name_size_file` (lines NAME HEIGHT WIDTH) overlaps are those in pixels.
    There is no gradient.
    Raises LayerError for shapes that do not fit, and options that make no sense.
    Source: weiliu89/caffe src/caffe/layers/detection_evaluate_layer.cpp
    """

    exact_bottoms = 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if p.num_classes < 1:
            raise self.error("needs detection_evaluate_param { num_classes: ... } of 1 or more")
        if not p.overlap_threshold > 0:
            raise self.error(f"needs overlap_threshold above 0, got {p.overlap_threshold:g}")
        self.sizes: list[tuple[int, int]] = []
        self.seen = 0
        if p.name_size_file:
            try:
                names = read_names(resolve(p.name_size_file, self.context.folder))
            except PycaffeError as error:
                raise self.error(str(error)) from None
            self.sizes = [(height, width) for _, height, width in names]
        check_resize(self, p.resize_param if p.HasField("resize_param") else None)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        for blob, columns, what in zip(bottom, (7, 8), ("detections", "ground truth"), strict=True):
            if shape_of_rows(blob)[-1] != columns:
                raise self.error(f"needs {what} of {columns} numbers a row, got shape {blob.shape}")
        classes = self.param.num_classes - (0 <= self.param.background_label_id < self.param.num_classes)
        if top[0].count == 0:
            top[0].reshape(1, 1, classes + 1, 5)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        found = bottom[0].data.reshape(-1, 7)
        found = found[found[:, CLASS] != -1]
        truth = bottom[1].data.reshape(-1, 8)
        ends = np.flatnonzero(truth[:, IMAGE] == PADDING)
        truth = truth[: ends[0]] if len(ends) else truth
        rows = [*self.counts(truth), *self._judged(found, truth)]
        top[0].reshape(1, 1, len(rows), 5)
        top[0].data[...] = rows

    def counts(self, truth: Array) -> Iterator[tuple[float, ...]]:
        """A row for each class with the number of its boxes."""
        counted = truth if self.param.evaluate_difficult_gt else truth[truth[:, DIFFICULT] == 0]
        for c in range(self.param.num_classes):
            if c != self.param.background_label_id:
                yield -1, c, float((counted[:, CLASS] == c).sum()), -1, -1

    def _judged(self, found: Array, truth: Array) -> Iterator[tuple[float, ...]]:
        """A row for each detection."""
        for image in np.unique(found[:, IMAGE]):
            size = self.sizes[self.seen % len(self.sizes)] if self.sizes else None
            self.seen += 1
            yield from self.judged_image(
                found[found[:, IMAGE] == image], truth[truth[:, IMAGE] == image], size
            )

    def judged_image(
        self, found: Array, truth: Array, size: tuple[int, int] | None
    ) -> Iterator[tuple[float, ...]]:
        """A row for each detection of an image.  size: its height and width, if overlaps are in pixels."""
        for c in np.unique(found[:, CLASS]):
            detections, own = found[found[:, CLASS] == c], truth[truth[:, CLASS] == c]
            if len(own):
                detections = detections[np.argsort(-detections[:, 2], kind="stable")]
            overlaps = self.overlaps(detections[:, 3:], own[:, BOX], size)
            for row, (is_true, is_false) in zip(
                detections, self._verdicts(overlaps, own[:, DIFFICULT] != 0), strict=True
            ):
                yield row[IMAGE], c, row[2], is_true, is_false

    def overlaps(self, found: Array, truth: Array, size: tuple[int, int] | None) -> Array:
        """The overlap of each detection with each box."""
        if size is not None:
            resize = self.param.resize_param if self.param.HasField("resize_param") else None
            found, truth = (in_picture(boxes, *size, resize) for boxes in (found, truth))
        a, b = found[:, None], truth[None]
        sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
        extra = 1 if size is not None else 0  # a box of pixels includes its last ones
        common = np.where((sides > 0).all(axis=-1), (sides + extra).prod(axis=-1), 0)
        areas = (np.maximum(box[..., 2:] - box[..., :2], 0) for box in (a, b))
        either = sum((sides + extra).prod(axis=-1) for sides in areas) - common
        with np.errstate(invalid="ignore", divide="ignore"):
            overlaps: Array = np.where(common > 0, common / either, 0)
        return overlaps

    def _verdicts(self, overlaps: Array, difficult: Array) -> Iterator[tuple[int, int]]:
        """Whether each detection is true, and whether it is false."""
        taken = np.zeros(len(difficult), bool)
        for row in overlaps:
            if not len(row) or row.max() < self.param.overlap_threshold:
                yield 0, 1
                continue
            box = int(row.argmax())
            if difficult[box] and not self.param.evaluate_difficult_gt:
                yield 0, 0
                continue
            yield (0, 1) if taken[box] else (1, 0)
            taken[box] = True

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")
