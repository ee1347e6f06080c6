"""RegionLoss: the loss of YOLO 2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels import yolo
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.detection.yolo import (
    BOX_AND_OBJECT,
    anchors_of,
    check_head,
    objects_of,
)
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.without_effect import note_without_effect
from pycaffe_lite.proto import caffe_pb2

FEWEST_BIASES = 10  # with fewer the fork takes all for 0


@register_layer("RegionLoss", param="region_loss_param", origin="MobileNet-YOLO")
class RegionLossLayer(LossLayer[caffe_pb2.RegionLossParameter]):
    """The squares of the errors of boxes, objectness and classes: loss = 1/N Σ e², dx = w/N e.

    Each cell of a head has `num` anchors, the sizes of which `biases` give in cells, and for each of them x,
    y, w, h, objectness and `num_class` classes. A box is ((i + σ(x)) / W, (j + σ(y)) / H, exp(w) anchor / W,
    exp(h) anchor / H). With σ' = σ (1 - σ),

        e = noobject_scale σ σ'             of an objectness, unless the box overlaps an object by > thresh
        e = -object_scale (o - σ) σ'        of that of an object's anchor; o is 1, with `rescore` the overlap
        e = -c (t - σ) σ', -c (t - x)       of its x, y and w, h; c is coord_scale, without `rescore` times
                                            (2 - the object's area)
        e = -class_scale (onehot - p)       of its classes, p being their softmax

    An object's anchor is the one in its cell whose size overlaps the object most; without `bias_match` the
    one whose predicted size does. The gradient is the error itself, not the derivative of its square, and
    with fewer than ten biases all are 0: both as in the fork.

    Bottom: the head, (N, num (5 + num_class), H, W); labels, (N, ..., 5 T): rows of class, x, y, w and h in
    parts of the picture, up to one of zeros. Top: the loss, (). Raises LayerError for shapes that do not fit,
    coords other than 4, and an object of no class or outside of the picture.
    Paper: Redmon, Farhadi, "YOLO9000: Better, Faster, Stronger", 2016 (arXiv 1612.08242).
    Source: eric612/MobileNet-YOLO src/caffe/layers/region_loss_layer.cpp
    """

    also_reads = ()

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        p = self.param
        note_without_effect(
            self, "side", "softmax", "jitter", "absolute", "random", "softmax_tree", "class_map"
        )
        if p.coords != 4:
            raise self.error(f"needs coords: 4, got {p.coords}")
        biases = list(p.biases) if len(p.biases) >= FEWEST_BIASES else [0.0] * FEWEST_BIASES
        self.anchors = anchors_of(self, biases)[: p.num]
        if not 1 <= p.num == len(self.anchors):
            raise self.error(f"needs biases for num {p.num} anchors, got {len(p.biases)} numbers")
        self.scales = np.array([p.coord_scale, p.object_scale, p.class_scale])
        self.diff = self.add_buffer()

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        check_head(self, bottom[0], self.param.num, BOX_AND_OBJECT + self.param.num_class)
        self.diff.reshape_like(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p, head, diff = self.param, bottom[0].data, self.diff.data
        truth = objects_of(self, bottom[1], p.num_class)
        yolo.region_cells(head, truth, self.anchors, float(p.noobject_scale), float(p.thresh), diff)
        yolo.region_objects(head, truth, self.anchors, self.scales, bool(p.rescore), bool(p.bias_match), diff)
        top[0].data[...] = yolo.sum_of_squares(diff, p.num, 0) / bottom[0].num

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            scale = self.dtype.type(float(top[0].diff[()]) / bottom[0].num)
            np.multiply(self.diff.data, scale, out=bottom[0].diff)
