"""Yolov3DetectionOutput: the objects that the heads of YOLO 3 have found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import sorting, yolo
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.detection.yolo import BOX_AND_OBJECT, anchors_of, check_head, check_mask
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

SPREADS = 4  # planes more that an anchor has with gaussian_box
ROOM = 1024  # rows to start with


@register_layer("Yolov3DetectionOutput", param="yolov3_detection_output_param", origin="MobileNet-YOLO")
class Yolov3DetectionOutputLayer(Layer[caffe_pb2.Yolov3DetectionOutputParameter]):
    """Boxes of all heads with the scores of their classes, the highest first, less those that overlap.

    A box counts for each class whose σ(class) σ(objectness) is above `confidence_threshold`; for boxes and
    anchors see Yolov3. All of them, of all classes and images, stand in one list, sorted by score; from the
    top down, one stays if it overlaps none that stays by `nms_threshold` or more. With gaussian_box each of
    x, y, w and h has the plane of its uncertainty behind it, and scores are multiplied by 1 - the mean of
    these.

    Bottom: `mask_group_num` heads, (N, num_box (5 + num_classes), H, W), with cells of as many
    `anchors_scale` pixels, and equal parts of `mask`. Top: (1, 1, M, 7): 0 whatever the image, class + 1,
    score, xmin, ymin, xmax, ymax in parts of the picture, which may lie outside. Where nothing was found
    there is a row for each image: its number, and -1 six times. There is no gradient.
    Raises LayerError for shapes that do not fit, and options that make no sense.
    Source: eric612/MobileNet-YOLO src/caffe/layers/yolov3_detection_output_layer.cpp
    """

    min_bottoms = 1
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        heads = p.mask_group_num
        if len(bottom) != heads:
            raise self.error(f"needs mask_group_num bottoms, {heads}, got {len(bottom)}")
        if len(p.anchors_scale) < heads:
            raise self.error(
                f"needs an anchors_scale for each of {heads} bottoms, got {len(p.anchors_scale)}"
            )
        mask, each = np.array(p.mask, np.int64), len(p.mask) // heads
        if len(mask) < (heads - 1) * each + p.num_box or each < 1 or p.num_box < 1:
            raise self.error(
                f"needs a mask with num_box {p.num_box} anchors for each bottom, got {len(mask)} numbers"
            )
        check_mask(self, mask, anchors_of(self, p.biases))
        self.anchors = [
            anchors_of(self, p.biases, p.anchors_scale[i])[mask[i * each : i * each + p.num_box]]
            for i in range(heads)
        ]

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        planes = BOX_AND_OBJECT + p.num_classes + (SPREADS if p.gaussian_box else 0)
        for blob in bottom:
            check_head(self, blob, p.num_box, planes)
        if top[0].count == 0:
            top[0].reshape(1, 1, 1, 7)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        found = self._found(bottom)
        kept = np.empty(len(found), np.int64)
        order = sorting.descending(found[:, 1])
        threshold = float(self.param.nms_threshold)
        found = found[kept[: yolo.suppress(found[:, 2:], order, threshold, kept)]]
        if not len(found):
            N = bottom[0].num
            top[0].reshape(1, 1, N, 7)
            top[0].data.fill(-1)
            top[0].data[0, 0, :, 0] = np.arange(N)
            return
        top[0].reshape(1, 1, len(found), 7)
        rows = top[0].data[0, 0]
        rows[:, 0] = 0
        rows[:, 1] = found[:, 0] + 1
        rows[:, 2] = found[:, 1]
        rows[:, 3:5] = found[:, 2:4] - found[:, 4:] / 2
        rows[:, 5:] = found[:, 2:4] + found[:, 4:] / 2

    def _found(self, bottom: Blobs) -> Array:
        """Class, score, x, y, w and h of each box that counts: (count, 6)."""
        p, room = self.param, ROOM
        while True:
            rows, count = np.empty((room, 6), self.dtype), 0
            for blob, anchors in zip(bottom, self.anchors, strict=True):
                count = yolo.detections(
                    blob.data, anchors, float(p.confidence_threshold), p.gaussian_box, rows, count
                )
            if count <= room:
                return rows[:count]
            room = count

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")
