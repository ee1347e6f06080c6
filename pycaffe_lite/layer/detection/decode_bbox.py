"""DecodeBBox and BboxAccuracy: the boxes that regions become by their offsets, and how good they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.layer.base import Blobs, Layer, P
from pycaffe_lite.layer.detection.box_code import box_code, check_rows, decoded, pair_overlaps
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

LEARNT = np.float64(0.975)  # regions that overlap their object by more are the object's own box


class WithoutGradient(Layer[P]):
    """A layer that passes no gradient on."""

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")


@register_layer("DecodeBBox", param="decode_bbox_param", origin="Cascade R-CNN")
class DecodeBBoxLayer(WithoutGradient[caffe_pb2.DecodeBBoxParameter]):
    """The boxes that regions become by their offsets: the regions of the cascade's next stage.

    Centre and size of a box are those of its region, moved by the offsets, which `bbox_reg_param` normalises:
    x1 = cx + dx w - (w' - 1) / 2, x2 = x1 + w' - 1, w' = exp(dw) w. In training, boxes whose sides are the
    wrong way round are dropped, and those of regions that overlap their ground truth by `gt_iou_thr` or more.

    Bottom: offsets, (R, 8), of which the last four count; regions, (R, 5): image, x1, y1, x2, y2; in training
    optionally their ground truth, (R, 6), the last number being the overlap. Top: (kept, 5, 1, 1). There is
    no gradient. Raises LayerError for shapes that do not fit, and if no box is kept.
    Paper: Cai, Vasconcelos, "Cascade R-CNN", 2018 (arXiv 1712.00726).
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/decode_bbox_layer.cpp
    """

    min_bottoms, max_bottoms = 2, 3
    exact_tops = 1
    also_reads = ("bbox_reg_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.code = box_code(self)
        if len(bottom) > 2 and self.phase != caffe_pb2.TRAIN:
            raise self.error("takes ground truth, its third bottom, in training only")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(check_rows(self, bottom, (8, 5, 6)), 5, 1, 1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        regions = bottom[1].data.reshape(-1, 5)
        offsets = self.code.denormalised(bottom[0].data.reshape(-1, 8)[:, 4:])
        boxes = decoded(regions[:, 1:], offsets)
        keep = np.ones(len(boxes), bool)
        if self.phase == caffe_pb2.TRAIN:
            keep &= (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
            if len(bottom) > 2:
                keep &= bottom[2].data.reshape(-1, 6)[:, 5] < np.float32(self.param.gt_iou_thr)
        if not keep.any():
            raise self.error(f"keeps none of {len(boxes)} boxes")
        top[0].reshape(int(keep.sum()), 5, 1, 1)
        rows = top[0].data.reshape(-1, 5)
        rows[:, 0], rows[:, 1:] = regions[keep, 0], boxes[keep]


@register_layer("BboxAccuracy", origin="Cascade R-CNN")
class BboxAccuracyLayer(WithoutGradient[None]):
    """The mean overlap of boxes with their ground truth, after their offsets are applied, and before.

    Regions with an object count, but for those that overlap it by more than 0.975.

    Bottom: offsets, (R, 4 classes), or (R, 8) without cls_aware in `bbox_reg_param`; regions, (R, 5); ground
    truth, (R, 6): label, x1, y1, x2, y2, overlap. Top: the overlap after, (1, 1, 1, 1); optionally that
    before; -1 where no region counts. Raises LayerError for shapes that do not fit.
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/bbox_accuracy_layer.cpp
    """

    exact_bottoms = 3
    min_tops, max_tops = 1, 2
    also_reads = ("bbox_reg_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.code = box_code(self)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        check_rows(self, bottom, (None if self.code.cls_aware else 8, 5, 6))
        for blob in top:
            blob.reshape(1, 1, 1, 1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        truth = bottom[2].data.reshape(-1, 6)
        rows = np.flatnonzero((truth[:, 0] > 0) & (truth[:, 5] <= LEARNT))
        columns = self.code.columns(truth[rows, 0].astype(np.int64))
        offsets = bottom[0].data.reshape(len(truth), -1, 4)
        if len(rows) and columns.max() >= offsets.shape[1]:
            raise self.error(f"needs offsets for class {columns.max()}, got bottom shape {bottom[0].shape}")
        regions = bottom[1].data.reshape(-1, 5)[rows, 1:]
        after = decoded(regions, self.code.denormalised(offsets[rows, columns]))
        for blob, boxes in zip(top, (after, regions), strict=False):
            found = pair_overlaps(boxes, truth[rows, 1:5])
            blob.data[...] = found.mean(dtype=np.float64) if len(rows) else -1
