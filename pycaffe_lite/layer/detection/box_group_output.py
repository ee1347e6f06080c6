"""BoxGroupOutput: the regions that Cascade R-CNN's first stage proposes."""

from __future__ import annotations

import math

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import sorting
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.detection.box_code import box_code, fields_of, kind_of, suppressed
from pycaffe_lite.layer.detection.decode_bbox import WithoutGradient
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("BoxGroupOutput", param="box_group_output_param", origin="Cascade R-CNN")
class BoxGroupOutputLayer(WithoutGradient[caffe_pb2.BoxGroupOutputParameter]):
    """Boxes around the fields of all cells, the best of each image, less those that overlap a better one.

    A box counts if its score, 1 - the probability of background, is `fg_thr` or more. Its offsets, which
    `bbox_reg_param` normalises, are bounded: centres by 1 / field_xyr, logarithms of sizes by log(field_whr);
    centre = d field + that of the cell, size = exp(d) field. It is clipped to the picture and dropped if a
    side is below `min_size`. Of an image's boxes `max_nms_num` count, and `max_post_nms_num` stay.

    Bottom: for each box_group_param a pair: probabilities, (N g, C, h, w), and offsets, (N g, 4, h, w), those
    of each image field by field, for g fields. Top: (M, 5, 1, 1): image, x1, y1, x2, y2; the row 0 1 1 10 10
    if there is none; optionally (M, 6, 1, 1), with the score, or a row of zeros. There is no gradient. Raises
    LayerError for shapes that do not fit.
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/box_group_output_layer.cpp
    """

    min_bottoms = 2
    min_tops, max_tops = 1, 2
    also_reads = ("bbox_reg_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if len(bottom) != 2 * len(p.box_group_param):
            raise self.error(
                f"needs two bottoms for each box_group_param, {2 * len(p.box_group_param)}, got {len(bottom)}"
            )
        if not (p.field_xyr > 0 and p.field_whr > 0):
            raise self.error(
                f"needs field_xyr and field_whr above 0, got {p.field_xyr:g} and {p.field_whr:g}"
            )
        self.code, self.kind = box_code(self), kind_of(self, p.nms_type)
        self.fields = [fields_of(self, g.field_w, g.field_h, g.stride) for g in p.box_group_param]
        reach, stretch = 1 / p.field_xyr, math.log(p.field_whr)
        self.bound = np.array([reach, reach, stretch, stretch], self.dtype)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.N = bottom[0].num // self.fields[0].kinds
        for fields, scores, offsets in zip(self.fields, bottom[::2], bottom[1::2], strict=True):
            shape = (self.N * fields.kinds, 4, *scores.shape[2:])
            if len(scores.shape) != 4 or scores.num != shape[0] or offsets.shape != shape:
                raise self.error(
                    f"needs probabilities of shape ({shape[0]}, C, h, w) and offsets of shape "
                    f"({shape[0]}, 4, h, w), got {scores.shape} and {offsets.shape}"
                )
        for blob, columns in zip(top, (5, 6), strict=False):
            blob.reshape(1, columns, 1, 1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        boxes, scores = self._candidates(bottom)
        found = [self._best(n, boxes[n], scores[n]) for n in range(self.N)]
        rows = np.concatenate(found)
        for blob, columns in zip(top, (5, 6), strict=False):
            blob.reshape(max(len(rows), 1), columns, 1, 1)
            blob.data[:, :, 0, 0] = rows[:, :columns] if len(rows) else 0
        if not len(rows):
            top[0].data[0, :, 0, 0] = 0, 1, 1, 10, 10

    def _candidates(self, bottom: Blobs) -> tuple[Array, Array]:
        """The boxes of each image, (N, count, 4), clipped, and their scores, (N, count)."""
        boxes, scores = [], []
        for fields, own, offsets in zip(self.fields, bottom[::2], bottom[1::2], strict=True):
            h, w = own.shape[2:]
            t = self.code.denormalised(offsets.data.transpose(0, 2, 3, 1)).clip(-self.bound, self.bound)
            found = fields.decoded(np.ascontiguousarray(t.transpose(0, 3, 1, 2)))
            found = found.transpose(0, 2, 3, 1).reshape(self.N, -1, 4)
            found[..., :2] = np.maximum(found[..., :2], 0)
            found[..., 2:] = np.minimum(found[..., 2:], [w * fields.stride, h * fields.stride])
            boxes.append(found)
            scores.append((1 - own.data[:, 0]).reshape(self.N, -1))
        return np.concatenate(boxes, axis=1), np.concatenate(scores, axis=1)

    def _best(self, n: int, boxes: Array, scores: Array) -> Array:
        """The rows of an image: image, box and score."""
        p = self.param
        counts = scores >= np.float32(p.fg_thr)
        counts &= (boxes[:, 2:] - boxes[:, :2] + 1 >= np.float32(p.min_size)).all(axis=1)
        boxes, scores = boxes[counts], scores[counts]
        order = sorting.descending(scores)[: p.max_nms_num or None]
        kept = suppressed(boxes, order, p.iou_thr, self.kind)[: p.max_post_nms_num or None]
        return np.column_stack([np.full(len(kept), n), boxes[kept], scores[kept]])
