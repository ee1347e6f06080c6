"""Faster R-CNN's Python layers, which take the place of modules that a net names and that are not there.

They work on one picture at a time: `im_info` is (1, 3), its height and width and how much it was scaled. They
read `rcnn_config.cfg`, and have no gradients.

Paper: Ren et al., "Faster R-CNN", 2015 (arXiv 1506.01497).
Source: rbgirshick/py-faster-rcnn lib/rpn/
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.errors import ArgumentError, LayerError
from pycaffe_lite.kernels import anchors as kernels
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.detection.anchors import SCALES, anchors_of, in_all_cells, offsets
from pycaffe_lite.layer.detection.ground_truth import Indices
from pycaffe_lite.layer.detection.rcnn_config import RcnnPhase, RcnnTraining, cfg, changed
from pycaffe_lite.layer.utility.param_str import mapping_of
from pycaffe_lite.layer.utility.python import PythonLayerBase
from pycaffe_lite.layer.utility.stand_ins import register_stand_in
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)


class _RcnnLayer(PythonLayerBase):
    """What these layers have in common: their options, and that they pass no gradient on."""

    def read_options(self, *names: str) -> dict[str, Any]:
        """The values of param_str; those that are not `names` are of the configuration.

        Raises:
            LayerError: param_str is no mapping, or names what there is not.
        """
        try:
            options = mapping_of(self.param_str)
            own = {name: options.pop(name) for name in names if name in options}
            self.changes = options
            _ = self.config
        except ArgumentError as error:
            raise LayerError(f"{error}, in param_str {self.param_str!r}") from None
        return own

    def required(self, options: dict[str, Any], name: str) -> Any:
        """An option that has no default."""
        if name not in options:
            raise LayerError(f"needs '{name}' in param_str, got {self.param_str!r}")
        return options[name]

    @property
    def config(self) -> RcnnPhase:
        """The values of the layer's phase, with those of param_str."""
        own = cfg.TRAIN if self.phase == caffe_pb2.TRAIN else cfg.TEST
        config: RcnnPhase = changed(own, self.changes)
        return config

    @property
    def training(self) -> RcnnTraining:
        """The values of training, with those of param_str."""
        config: RcnnTraining = changed(cfg.TRAIN, self.changes)
        return config

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Leaves the tops as they are: their sizes depend on the values of the bottoms."""

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Has nothing to do."""


class _AnchorLayer(_RcnnLayer):
    """A layer that works on the anchors of a map."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        options = self.read_options("feat_stride", "scales", "allowed_border")
        self.stride = self.required(options, "feat_stride")
        self.anchors = anchors_of(scales=options.get("scales", SCALES))
        self.border = options.get("allowed_border", 0)
        if (problem := self._problem_of_maps(bottom)) is not None:
            # Nets whose fork has changed the anchors can be built, and looked at, but not run.
            log.warning("layer '%s' (Python): %s; it cannot run", self.layer_param.name, problem)

    def check_maps(self, bottom: Blobs) -> tuple[int, int]:
        """The height and width of the maps of scores, which fit the anchors; one picture only.

        Raises:
            LayerError: they do not fit.
        """
        if (problem := self._problem_of_maps(bottom)) is not None:
            raise LayerError(problem)
        return bottom[0].shape[2], bottom[0].shape[3]

    def _problem_of_maps(self, bottom: Blobs) -> str | None:
        """How the maps of scores do not fit the anchors, in words; None: they fit."""
        shape, A = bottom[0].shape, len(self.anchors)
        if len(shape) == 4 and shape[0] == 1 and shape[1] == 2 * A:
            return None
        return f"needs scores of one picture, (1, {2 * A}, H, W) for {A} anchors, got {shape}"


@register_stand_in("rpn.proposal_layer")
class ProposalLayer(_AnchorLayer):
    """The boxes with the highest scores, less those that overlap a better one: regions to look at.

    Bottom: scores, (1, 2 A, H, W), the last A those of objects; offsets, (1, 4 A, H, W); im_info. Top:
    regions, (R, 5), image 0 and box; optionally their scores, (R, 1).
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        top[0].reshape(1, 5)
        if len(top) > 1:
            top[1].reshape(1, 1, 1, 1)

    def _candidates(self, bottom: Blobs) -> tuple[Array, Array, float]:
        """A box for each anchor, (count, 4), their scores, (count,), and the scale of the picture."""
        (H, W), A = self.check_maps(bottom), len(self.anchors)
        if bottom[1].shape != (1, 4 * A, H, W):
            raise LayerError(f"needs offsets of shape {(1, 4 * A, H, W)}, got {bottom[1].shape}")
        height, width, scale = bottom[2].data.reshape(-1)[:3]
        boxes = np.empty((H, W, A, 4), bottom[1].data.dtype)
        kernels.decode(
            bottom[1].data[0], self.anchors, float(self.stride), float(height), float(width), boxes
        )
        return boxes.reshape(-1, 4), bottom[0].data[0, A:].transpose(1, 2, 0).reshape(-1), float(scale)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        config = self.config
        boxes, scores, scale = self._candidates(bottom)
        large = np.flatnonzero((boxes[:, 2:] - boxes[:, :2] + 1 >= config.RPN_MIN_SIZE * scale).all(axis=1))
        # Of equal scores the last comes first.
        order = large[np.argsort(scores[large], kind="stable")[::-1]]
        order = order[: int(config.RPN_PRE_NMS_TOP_N) or None]
        kept = np.empty(min(int(config.RPN_POST_NMS_TOP_N) or len(order), len(order)), np.int64)
        kept = kept[: kernels.suppress(boxes, order, float(config.RPN_NMS_THRESH), len(kept), kept)]
        top[0].reshape(len(kept), 5)
        top[0].data[:, 0] = 0
        top[0].data[:, 1:] = boxes[kept]
        if len(top) > 1:
            top[1].reshape(len(kept), 1)
            top[1].data[:, 0] = scores[kept]


def _drawn(indices: Indices, count: int) -> Indices:
    """So many of these, by NumPy's own generator, as in the original: `numpy.random.seed` repeats a run."""
    drawn: Indices = np.random.choice(indices, size=count, replace=False)
    return drawn


def _overlaps(boxes: Array, truth: Array) -> Array:
    """The overlap of each box with each of the ground truth, in float64: (B, G)."""
    found = np.empty((len(boxes), len(truth)))
    kernels.overlaps(np.ascontiguousarray(boxes, np.float64), np.ascontiguousarray(truth, np.float64), found)
    return found


def _boxes_of(blob: Blob) -> Array:
    """The rows of ground truth.

    Raises:
        LayerError: they are not of five numbers, or there are none.
    """
    if len(blob.shape) != 2 or blob.shape[1] != 5:
        raise LayerError(f"needs ground truth of 5 numbers a row, x1 y1 x2 y2 class, got shape {blob.shape}")
    if not len(blob.data):
        raise LayerError("needs ground truth of one box at least: leave out pictures without an object")
    return blob.data


@register_stand_in("rpn.anchor_target_layer")
class AnchorTargetLayer(_AnchorLayer):
    """What a region proposal network shall learn: which anchors hold objects, and the offsets of these.

    Anchors that lie in the picture count. Those hold an object that overlap one by RPN_POSITIVE_OVERLAP, or
    as much as any; those are background that overlap all by less than RPN_NEGATIVE_OVERLAP. RPN_BATCHSIZE of
    them are drawn.

    Bottom: scores, (1, 2 A, H, W), for their size only; ground truth, (G, 5), box and class; im_info; the
    picture, which is not read. Top: labels, (1, 1, A H, W), 1, 0 or -1; offsets, inside and outside weights,
    (1, 4 A, H, W), for SmoothL1Loss.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if len(bottom[0].shape) != 4:
            self.check_maps(bottom)
        self._shape(bottom, top)

    def _shape(self, bottom: Blobs, top: Blobs) -> tuple[int, int, int]:
        _, channels, H, W = bottom[0].shape
        A = channels // 2
        top[0].reshape(1, 1, A * H, W)
        for blob in top[1:]:
            blob.reshape(1, 4 * A, H, W)
        return A, H, W

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self.check_maps(bottom)
        A, H, W = self._shape(bottom, top)
        truth, (height, width) = _boxes_of(bottom[1]), bottom[2].data.reshape(-1)[:2]
        anchors = in_all_cells(self.anchors, self.stride, H, W)
        low, border = anchors[:, :2], self.border
        inside = np.flatnonzero(
            (low >= -border).all(axis=1) & (anchors[:, 2:] < np.array([width, height]) + border).all(axis=1)
        )
        if not len(inside):
            raise LayerError(f"no anchor lies in a picture of {height:g} x {width:g}: 'scales' are too large")
        found = _overlaps(anchors[inside], truth[:, :4])
        labels = self._labels(found)
        values = np.zeros((3, len(anchors), 4), np.float32)
        values[0, inside] = offsets(anchors[inside], truth[found.argmax(axis=1), :4].astype(np.float64))
        values[1, inside[labels == 1]] = self.training.RPN_BBOX_INSIDE_WEIGHTS
        values[2, inside] = self._outside_weights(labels)[:, None]
        all_labels = np.full(len(anchors), -1.0)
        all_labels[inside] = labels
        top[0].data[...] = all_labels.reshape(H, W, A).transpose(2, 0, 1).reshape(top[0].shape)
        for blob, own in zip(top[1:], values, strict=True):
            blob.data[...] = own.reshape(1, H, W, 4 * A).transpose(0, 3, 1, 2)

    def _labels(self, found: Array) -> Array:
        """1, 0 or -1 for each anchor.  found: its overlap with each object."""
        config = self.training
        labels, best = np.full(len(found), -1.0), found.max(axis=1)
        is_background = best < config.RPN_NEGATIVE_OVERLAP
        if not config.RPN_CLOBBER_POSITIVES:
            labels[is_background] = 0
        labels[(found == found.max(axis=0)).any(axis=1)] = 1
        labels[best >= config.RPN_POSITIVE_OVERLAP] = 1
        if config.RPN_CLOBBER_POSITIVES:
            labels[is_background] = 0
        for label, room in ((1, int(config.RPN_FG_FRACTION * config.RPN_BATCHSIZE)), (0, None)):
            own = np.flatnonzero(labels == label)
            if room is None:
                room = int(config.RPN_BATCHSIZE - (labels == 1).sum())
            if len(own) > room:
                labels[_drawn(own, len(own) - room)] = -1
        return labels

    def _outside_weights(self, labels: Array) -> Array:
        """How much each anchor counts in the loss."""
        share, weights = self.training.RPN_POSITIVE_WEIGHT, np.zeros(len(labels))
        if share < 0:
            weights[labels >= 0] = 1 / max((labels >= 0).sum(), 1)
            return weights
        if not 0 < share < 1:
            raise LayerError(f"needs RPN_POSITIVE_WEIGHT between 0 and 1, or below 0, got {share:g}")
        for label, own in ((1, share), (0, 1 - share)):
            weights[labels == label] = own / max((labels == label).sum(), 1)
        return weights


@register_stand_in("rpn.proposal_target_layer")
class ProposalTargetLayer(_RcnnLayer):
    """Regions to learn from, with their classes and the offsets of their objects.

    Objects' own boxes are regions as well. BATCH_SIZE are drawn: FG_FRACTION of them, or as many as there
    are, of those that overlap an object by FG_THRESH, the others of those that overlap it by BG_THRESH_LO up
    to BG_THRESH_HI.

    Bottom: regions, (R, 5), of image 0; ground truth, (G, 5), box and class. Top: regions, (n, 5); labels,
    (n,), 0 for background; offsets, inside and outside weights, (n, 4 classes), for SmoothL1Loss: those of
    each region in the columns of its class.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.classes = int(self.required(self.read_options("num_classes"), "num_classes"))
        top[0].reshape(1, 5)
        top[1].reshape(1, 1)
        for blob in top[2:]:
            blob.reshape(1, 4 * self.classes)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        truth = _boxes_of(bottom[1])
        if not (truth[:, 4] < self.classes).all():
            raise LayerError(f"needs classes below num_classes {self.classes}, got {truth[:, 4].max():g}")
        own = np.hstack([np.zeros((len(truth), 1), truth.dtype), truth[:, :4]])
        regions = np.vstack([bottom[0].data.reshape(-1, 5), own])
        if regions[:, 0].any():
            raise LayerError("needs regions of one picture, image 0")
        found = _overlaps(regions[:, 1:], truth[:, :4])
        index, objects = self._sampled(found.max(axis=1))
        matches = truth[found[index].argmax(axis=1)]
        labels = np.where(np.arange(len(index)) < objects, matches[:, 4], 0)
        values = self._values(regions[index, 1:], matches[:, :4], labels)
        top[0].reshape(len(index), 5)
        top[0].data[...] = regions[index]
        top[1].reshape(len(index))
        top[1].data[...] = labels
        for blob, value in zip(top[2:], values, strict=False):
            blob.reshape(value.shape)
            blob.data[...] = value

    def _sampled(self, best: Array) -> tuple[Indices, int]:
        """The regions that are drawn, and how many of them, the first ones, have an object."""
        config = self.training
        wanted = int(np.round(config.FG_FRACTION * config.BATCH_SIZE))
        objects = np.flatnonzero(best >= config.FG_THRESH)
        count = min(wanted, len(objects))
        if len(objects):
            objects = _drawn(objects, count)
        rest = np.flatnonzero((best < config.BG_THRESH_HI) & (best >= config.BG_THRESH_LO))
        if len(rest):
            rest = _drawn(rest, min(int(config.BATCH_SIZE - count), len(rest)))
        return np.append(objects, rest), count

    def _values(self, regions: Array, truth: Array, labels: Array) -> tuple[Array, Array, Array]:
        """Offsets, inside and outside weights, (n, 4 classes)."""
        config = self.training
        targets = offsets(regions, truth)
        if config.BBOX_NORMALIZE_TARGETS_PRECOMPUTED:
            targets = (targets - config.BBOX_NORMALIZE_MEANS) / np.array(config.BBOX_NORMALIZE_STDS)
        n = len(labels)
        placed, weights = np.zeros((2, n, self.classes, 4), np.float32)
        rows = np.flatnonzero(labels > 0)
        columns = labels[rows].astype(np.int64)
        placed[rows, columns] = targets[rows]
        weights[rows, columns] = config.BBOX_INSIDE_WEIGHTS
        placed, weights = placed.reshape(n, -1), weights.reshape(n, -1)
        return placed, weights, (weights > 0).astype(np.float32)
