"""ProposalTarget: regions that a stage of Cascade R-CNN learns from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite import random
from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.detection.anchors import offsets
from pycaffe_lite.layer.detection.box_code import box_code, check_rows, overlaps
from pycaffe_lite.layer.detection.decode_bbox import WithoutGradient
from pycaffe_lite.layer.detection.ground_truth import Indices
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

NOWHERE = -1  # the image of a row of ground truth that stands for no box
LEAST_SIDE = 32  # of a random region, in pixels


class _Truth(NamedTuple):
    """Ground truth: images, (G,); boxes, (G, 4); labels, (G,); ignored, (G,)."""

    images: Array
    boxes: Array
    labels: Indices
    ignored: npt.NDArray[np.bool_]


class _Matches(NamedTuple):
    """Of each region: its best object, -1 if its image has none, and how much they overlap."""

    objects: Indices
    overlap: Array


@register_layer("ProposalTarget", param="proposal_target_param", origin="Cascade R-CNN")
class ProposalTargetLayer(WithoutGradient[caffe_pb2.ProposalTargetParameter]):
    """Regions with their classes and the offsets of their objects, `batch_size` of the whole batch.

    A region has the object of its image that it overlaps most. From `fg_thr` on it is one of its class,
    unless the object is ignored; from `bg_thr_lw` up to `bg_thr_hg` it is background; else it is discarded.
    There are fg_fraction batch_size regions with objects, if there are so many, and then background, both
    drawn where there are more; with `pickup_discard` discarded ones fill up. `append_gtbox` makes the
    objects' own boxes regions. Where there is no region at all, a random one is background. batch_size -1:
    all.

    Bottom: regions, (R, 5): image, x1, y1, x2, y2; ground truth, (G, 8): image or -1, x1, y1, x2, y2, label,
    ignored, difficult. Top: n rows each, of 4 axes: regions, 5; labels, 1; offsets, inside and outside
    weights, 4 cls_num, or 8 without cls_aware in `bbox_reg_param`, which normalises the offsets; ground
    truth, 6: label, x1, y1, x2, y2, overlap, zeros for background; optionally the regions' weights, 1: those
    with an object, which weigh 1 or with `iou_weighted` their overlap, make up fg_fraction of the sum. There
    is no gradient. Raises LayerError for shapes and labels that do not fit.
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/proposal_target_layer.cpp
    """

    exact_bottoms = 2
    min_tops, max_tops = 6, 7
    also_reads = ("bbox_reg_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        self.code = box_code(self)
        if p.batch_size < 1 and p.batch_size != -1:
            raise self.error(f"needs batch_size of 1 or more, or -1, got {p.batch_size}")
        if p.cls_num < 2:
            raise self.error(f"needs cls_num of 2 or more, got {p.cls_num}")
        if p.fg_thr < p.bg_thr_hg:
            raise self.error(f"needs fg_thr of bg_thr_hg or more, got {p.fg_thr:g} and {p.bg_thr_hg:g}")
        self.groups = p.cls_num if self.code.cls_aware else 2
        self.draws = random.RandomStream(random.stream().raw())

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        check_rows(self, bottom[:1], (5,))
        check_rows(self, bottom[1:], (8,))
        batch = self.param.batch_size
        self._shape(top, batch if batch > 0 else max(bottom[0].num, 1))

    def _shape(self, top: Blobs, rows: int) -> None:
        each = (5, 1, *(4 * self.groups,) * 3, 6, 1)
        for blob, columns in zip(top, each, strict=False):
            blob.reshape(rows, columns, 1, 1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p, truth = self.param, self._truth(bottom[1].data.reshape(-1, 8))
        regions = bottom[0].data.reshape(-1, 5)
        if len(regions) and not regions[:, 0].max() < p.num_img_per_batch:
            raise self.error(
                f"needs regions of images below {p.num_img_per_batch}, got {regions[:, 0].max():g}"
            )
        if p.append_gtbox:
            regions = np.vstack([regions, np.column_stack([truth.images, truth.boxes])])
        matches = self._matches(regions, truth)
        rows, objects = self._sampled(matches, truth)
        if not len(rows):
            regions = np.vstack([regions, self._random_region(truth)])
            matches = _Matches(np.append(matches.objects, -1), np.append(matches.overlap, 0))
            rows = np.array([len(regions) - 1])
        self._write(
            top, regions[rows], _Matches(matches.objects[rows], matches.overlap[rows]), objects, truth
        )

    def _truth(self, rows: Array) -> _Truth:
        rows = rows[rows[:, 0].astype(np.int64) != NOWHERE]
        images, labels = rows[:, 0], rows[:, 5].astype(np.int64)
        count = self.param.num_img_per_batch
        if len(rows) and not 0 <= images.min() <= images.max() < count:
            raise self.error(
                f"needs ground truth of images 0 to {count - 1}, got {images.min():g} to {images.max():g}"
            )
        if len(rows) and not 0 < labels.min() <= labels.max() < self.param.cls_num:
            raise self.error(
                f"needs labels 1 to {self.param.cls_num - 1}, got {labels.min()} to {labels.max()}"
            )
        return _Truth(images, rows[:, 1:5], labels, rows[:, 6] != 0)

    def _matches(self, regions: Array, truth: _Truth) -> _Matches:
        if not len(truth.labels) or not len(regions):
            return _Matches(np.full(len(regions), -1), np.zeros(len(regions), regions.dtype))
        found = overlaps(regions[:, 1:], truth.boxes, by_sizes=True)
        found[regions[:, :1] != truth.images] = -1
        best = found.max(axis=1)
        return _Matches(np.where(best < 0, -1, found.argmax(axis=1)), np.maximum(best, 0))

    def _sampled(self, matches: _Matches, truth: _Truth) -> tuple[Indices, int]:
        """The regions that are sampled, and how many of them, the first ones, have an object."""
        p, best = self.param, matches.overlap
        is_object = best >= np.float32(p.fg_thr)
        objects = np.flatnonzero(is_object)
        objects = objects[~truth.ignored[matches.objects[objects]]]
        is_background = (best >= np.float32(p.bg_thr_lw)) & (best < np.float32(p.bg_thr_hg)) & ~is_object
        background = np.flatnonzero(is_background)
        size, wanted = len(objects) + len(background), len(objects)
        if p.batch_size > 0:
            size, wanted = p.batch_size, int(np.floor(p.fg_fraction * p.batch_size + 0.5))
        if len(objects) > wanted:
            objects = objects[self.draws.permutation(len(objects))][:wanted]
        room = size - len(objects)
        if len(background) > room:
            background = background[self.draws.permutation(len(background))][:room]
        elif p.pickup_discard:
            rest = np.flatnonzero(~is_object & ~is_background)
            background = np.append(background, rest[: room - len(background)])
        return np.append(objects, background), len(objects)

    def _random_region(self, truth: _Truth) -> Array:
        """A region of 32 pixels a side or more that overlaps no object of its image by fg_thr."""
        p, draw = self.param, random.stream()
        if min(p.img_width, p.img_height) <= LEAST_SIDE:
            raise self.error(
                f"there is no region: to draw one, it needs img_width and img_height above {LEAST_SIDE}, got "
                f"{p.img_width} and {p.img_height}"
            )
        while True:
            image = draw.raw() % p.num_img_per_batch
            x, y = draw.raw() % (p.img_width - LEAST_SIDE), draw.raw() % (p.img_height - LEAST_SIDE)
            w, h = (max(draw.raw() % side, LEAST_SIDE) for side in (p.img_width - x, p.img_height - y))
            box = np.array([[x, y, x + w - 1, y + h - 1]], self.dtype)
            own = truth.boxes[truth.images == image]
            if not (overlaps(box, own, by_sizes=True) >= p.fg_thr).any():
                return np.column_stack([[image], box]).astype(self.dtype)

    def _write(self, top: Blobs, regions: Array, matches: _Matches, objects: int, truth: _Truth) -> None:
        """Fills the tops.  objects: how many of the regions, the first ones, have an object."""
        p, n = self.param, len(regions)
        self._shape(top, n)
        own = matches.objects[:objects]
        labels, boxes, overlap = truth.labels[own], truth.boxes[own], matches.overlap[:objects]
        for blob in top[1:]:
            blob.data.fill(0)
        top[0].data[:, :, 0, 0] = regions
        top[1].data[:objects, 0, 0, 0] = labels
        rows, columns = np.arange(objects), self.code.columns(labels)
        learnt = (np.float32(p.bbox_thr_lw) <= overlap) & (overlap <= np.float32(p.bbox_thr_hg))
        values = self.code.normalised(offsets(regions[:objects, 1:], boxes))
        for blob, value in zip(top[2:5], (values, learnt[:, None], learnt[:, None]), strict=True):
            blob.data.reshape(n, self.groups, 4)[rows, columns] = value
        top[5].data[:objects, :, 0, 0] = np.column_stack([labels, boxes, overlap])
        if len(top) > 6:
            weights = np.ones(n)
            if p.iou_weighted:
                weights[:objects] = overlap
            if objects and weights[:objects].sum():
                weights[:objects] *= p.fg_fraction * n / weights[:objects].sum()
                weights[objects:] *= (1 - p.fg_fraction) * n / max(n - objects, 1)
            top[6].data[:, 0, 0, 0] = weights
