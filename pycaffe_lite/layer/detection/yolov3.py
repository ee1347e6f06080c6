"""Yolov3: the loss of YOLO 3, for one of its heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels import yolo
from pycaffe_lite.kernels.agreement import MSE
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.detection.yolo import (
    BOX_AND_OBJECT,
    anchors_of,
    check_head,
    check_mask,
    objects_of,
)
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.without_effect import note_without_effect
from pycaffe_lite.proto import caffe_pb2


@register_layer("Yolov3", param="yolov3_param", origin="MobileNet-YOLO")
class Yolov3Layer(LossLayer[caffe_pb2.Yolov3Parameter]):
    """The squares of the errors of boxes, objectness and classes: loss = 1/N Σ e², dx = w/N e.

    `biases` are the sizes of the anchors of all heads, in pixels of the net's input; `mask` names those of
    this head, whose cells are `anchors_scale` pixels wide. For each of them a cell has x, y, w, h, objectness
    and `num_class` classes; a box is ((i + σ(x)) / W, (j + σ(y)) / H, exp(w) anchor / W, exp(h) anchor / H).

        e = σ                               of an objectness, unless the box agrees with an object by > thresh
        e = -(1 - σ)                        of that of an object's anchor
        e = -c (t - σ), -c (t - x)          of its x, y and w, h; c = coord_scale (2 - the object's area)
        e = -class_scale (y - σ)            of its classes, y = (1 - s) onehot + s/2 for s = label_smooth_eps

    An object's anchor is the one in its cell whose size agrees with the object best, of all heads'; and also
    each of this head whose size does so by more than `iou_thresh`. With use_focal_loss a class's error is
    -class_scale (onehot - σ) times -(1 - p) (2 p log p + p - 1) / 2, p being the probability of the label.

    With another iou_loss than MSE, agreement is measured by it (IOU, GIOU, DIOU, CIOU); the error of a box is
    its negative gradient times iou_normalizer, max_delta at most, `accumulate`d where objects share a cell;
    and the loss is 1/N (Σ e² of the rest + iou_normalizer mean(1 - agreement)).

    With use_logic_gradient the objectness of an object counts object_scale times, and dx is multiplied by σ
    (1 - σ), but for w and h. As in the fork, the gradient is the error itself, not the derivative of its
    square; noobject_scale has no effect; and with use_logic_gradient and another iou_loss than MSE, x and y
    count by x (1 - x) instead.

    Bottom: the head, (N, num (5 + num_class), H, W); labels, (N, ..., 5 T): rows of class, x, y, w and h in
    parts of the picture, up to one of zeros. Top: the loss, (). Raises LayerError for shapes that do not fit,
    a mask of another length than num, and an object of no class or outside of the picture.
    Paper: Redmon, Farhadi, "YOLOv3: An Incremental Improvement", 2018 (arXiv 1804.02767).
    Source: eric612/MobileNet-YOLO src/caffe/layers/yolov3_layer.cpp
    """

    also_reads = ()

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        p = self.param
        note_without_effect(self, "side", "noobject_scale")
        self.anchors = anchors_of(self, p.biases, p.anchors_scale)
        self.mask = np.array(p.mask, np.int64)
        if not 1 <= p.num <= len(self.mask):
            raise self.error(f"needs a mask with num {p.num} anchors, got {len(self.mask)} numbers")
        check_mask(self, self.mask, self.anchors)
        self.mask = self.mask[: p.num]
        self.measure = p.iou_loss
        by_logic = p.object_scale if p.use_logic_gradient else 1.0
        self.scales = np.array([p.coord_scale, by_logic, p.class_scale, p.iou_normalizer])
        self.found = np.zeros(2)
        self.diff = self.add_buffer()

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        check_head(self, bottom[0], self.param.num, BOX_AND_OBJECT + self.param.num_class)
        self.diff.reshape_like(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p, head, diff = self.param, bottom[0].data, self.diff.data
        truth = objects_of(self, bottom[1], p.num_class)
        yolo.yolov3_cells(head, truth, self.anchors, self.mask, float(p.thresh), self.measure, diff)
        yolo.yolov3_objects(
            head, truth, self.anchors, self.mask, self.measure, float(p.iou_thresh), self.scales,
            float(p.label_smooth_eps), bool(p.use_focal_loss), float(p.max_delta), bool(p.accumulate), diff,
            self.found,
        )  # fmt: skip
        loss = yolo.sum_of_squares(diff, p.num, 0 if self.measure == MSE else yolo.OBJECT)
        count, disagreement = self.found
        if self.measure != MSE and count:
            loss += p.iou_normalizer * disagreement / count
        top[0].data[...] = loss / bottom[0].num

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            yolo.yolov3_backward(
                bottom[0].data, self.diff.data, self.param.num, float(top[0].diff[()]) / bottom[0].num,
                bool(self.param.use_logic_gradient), self.measure != MSE, bottom[0].diff,
            )  # fmt: skip
