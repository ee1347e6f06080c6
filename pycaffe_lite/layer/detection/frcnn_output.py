"""FrcnnOutput: the objects that Cascade R-CNN has found in a picture."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.errors import DataError
from pycaffe_lite.kernels import sorting
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.detection.box_code import box_code, check_rows, decoded, kind_of, suppressed
from pycaffe_lite.layer.detection.decode_bbox import WithoutGradient
from pycaffe_lite.layer.detection.save_output import DetectionWriter
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("FrcnnOutput", param="frcnn_output_param", origin="Cascade R-CNN")
class FrcnnOutputLayer(WithoutGradient[caffe_pb2.FrcnnOutputParameter]):
    """The boxes that regions become by their offsets, class by class, less those that overlap a better one.

    For boxes see DecodeBBox; they are clipped to 0 and the picture's size. Of each class but the background
    those count whose probability is `conf_thr` or more; from the highest down, one stays if none that stays
    overlaps it by more than `iou_thr`; then the `max_det_num` highest of all classes stay.

    Bottom: probabilities, (R, C); offsets, (R, 4 C), or (R, 8) without cls_aware in `bbox_reg_param`;
    regions, (R, 5) or (R, 6), of image 0; the picture's height and width, (1, 2). Top: (M + 1, 7, 1, 1):
    image, x1, y1, x2, y2, class, score, class by class; the first row is 0 and six times -1. There is no
    gradient. Raises LayerError for shapes that do not fit, and regions of another image or the wrong way
    round.
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/frcnn_output_layer.cpp
    """

    exact_bottoms = 4
    exact_tops = 1
    also_reads = ("bbox_reg_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        self.code, self.kind = box_code(self), kind_of(self, p.nms_type)
        self.writer = (
            DetectionWriter.of(self, p.save_output_param, 0) if p.HasField("save_output_param") else None
        )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.C = bottom[0].count_axes(1)
        regions = 6 if bottom[2].shape and bottom[2].count_axes(1) == 6 else 5
        check_rows(self, bottom[:3], (self.C, 4 * self.C if self.code.cls_aware else 8, regions))
        if bottom[3].count != 2:
            raise self.error(f"needs the picture's height and width, got shape {bottom[3].shape}")
        top[0].reshape(1, 7, 1, 1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        R = bottom[0].num
        regions = bottom[2].data.reshape(R, -1)[:, :5]
        if regions[:, 0].any() or (regions[:, 3:] < regions[:, 1:3]).any():
            raise self.error("needs regions of image 0 with x1 <= x2 and y1 <= y2")
        height, width = (float(side) for side in bottom[3].data.ravel())
        offsets = self.code.denormalised(bottom[1].data.reshape(R, -1, 4))
        found = [
            self._of_class(c, bottom[0].data.reshape(R, self.C)[:, c], regions, offsets, (width, height))
            for c in range(1, self.C)
        ]
        rows = self._best(np.concatenate([np.empty((0, 7), self.dtype), *found]))
        top[0].reshape(len(rows) + 1, 7, 1, 1)
        values = top[0].data.reshape(-1, 7)
        values[0], values[0, 0], values[1:] = -1, 0, rows
        if self.writer is not None:
            normal = rows[:, 1:5] / [width, height, width, height]
            try:
                self.writer.write([np.column_stack([rows[:, 0], rows[:, 5:7], normal])])
            except DataError as error:
                raise self.error(str(error)) from None

    def _of_class(
        self, c: int, scores: Array, regions: Array, offsets: Array, size: tuple[float, float]
    ) -> Array:
        """The rows of a class.  size: the picture's width and height."""
        own = np.flatnonzero(scores >= np.float32(self.param.conf_thr))
        group = c if self.code.cls_aware else 1
        boxes = decoded(regions[own, 1:], offsets[own, group])
        boxes[:, :2], boxes[:, 2:] = np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, 2:], size)
        scores = scores[own]
        kept = suppressed(boxes, sorting.descending(scores), self.param.iou_thr, self.kind)
        n = len(kept)
        return np.column_stack([np.zeros(n), boxes[kept], np.full(n, c), scores[kept]]).astype(self.dtype)

    def _best(self, rows: Array) -> Array:
        """The rows with the highest scores, class by class."""
        most = self.param.max_det_num
        if not 0 < most < len(rows):
            return rows
        best = sorting.descending(np.ascontiguousarray(rows[:, 6]))[:most]
        chosen: Array = rows[best[np.argsort(rows[best, 5], kind="stable")]]
        return chosen
