"""DetectionGroupLoss and DetectionGroupAccuracy: what Cascade R-CNN's first stage learns, and how well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite import random
from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.detection.box_code import box_code, fields_of, pair_overlaps
from pycaffe_lite.layer.detection.decode_bbox import WithoutGradient
from pycaffe_lite.layer.detection.ground_truth import Indices
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.loss.smooth_l1_loss import smooth_l1
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.without_effect import note_without_effect
from pycaffe_lite.proto import caffe_pb2

LABEL, BOX, OVERLAP = 0, slice(1, 5), 5  # planes of the labels
DIVISORS = ("normalization", "normalize", "pre_fixed_normalizer")  # fields of loss_param
LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)
Flags = npt.NDArray[np.bool_]


def _check_maps(layer: Layer[Any], bottom: Blobs, classes: int, fields: int) -> None:
    """Raises LayerError unless scores, offsets and labels are maps of one size."""
    scores = bottom[0]
    shape = (scores.num, *scores.shape[2:])
    if len(scores.shape) != 4 or scores.num % fields:
        raise layer.error(f"needs scores of shape (N g, C, h, w) for {fields} fields, got {scores.shape}")
    for blob, channels in zip(bottom, (classes, 4, 6), strict=True):
        if blob.shape != (shape[0], channels, *shape[1:]):
            raise layer.error(f"needs a bottom of shape {(shape[0], channels, *shape[1:])}, got {blob.shape}")


def _labels_of(layer: Layer[Any], blob: Array, classes: int, objectness: bool) -> tuple[Indices, Indices]:
    """The labels of all cells, (N g, h, w), as they stand there, and as the classes that scores are of."""
    labels = blob[:, LABEL].astype(np.int64)
    of_class = np.minimum(labels, 1) if objectness else labels
    if of_class.size and of_class.max() >= classes:
        raise layer.error(f"needs labels below cls_num {classes}, got {of_class.max()}")
    return labels, of_class


@register_layer("DetectionGroupLoss", param="detection_group_loss_param", origin="Cascade R-CNN")
class DetectionGroupLossLayer(LossLayer[caffe_pb2.DetectionGroupLossParameter]):
    """The loss of classes and boxes of cells with objects, and of some cells of background.

    Cells of a label above 0 have an object; those of label 0 that overlap objects by less than `bg_threshold`
    are background. Of each image all cells with objects count, and `bg_multiple` times as many of background,
    `min_num_neg` at least; or with a `batch_size` so many, divided in that proportion. Which of background,
    `neg_mining_type` says: random ones, the hardest (bootstrap), or half of each (mixture); hardest by the
    loss of their class, or by 1 - the probability of background. Numbers of the random stream decide.

    conf = mean of -weight log p[label] over these cells; bbox = mean over coordinates, of cells with objects,
    of the smooth L1 loss, or half the square, of offsets less (centre - that of the cell) / field and
    log(max(size, 2) / field), which `bbox_reg_param` normalises. With `pos_neg_weighted` the weights of cells
    with and without objects have sums in the proportion above, else they are 1. If both field_xyr and
    field_whr are given, offsets are bounded by 1 / field_xyr and log(field_whr), in the bottom itself.

    Bottom: scores, (N g, cls_num, h, w); offsets, (N g, 4, h, w); labels, (N g, 6, h, w): label, x, y, w, h,
    overlap. Top: (1, 1, 1, 2): conf + lambda bbox, and lambda bbox, which the net's total counts twice; the
    gradient is that of the first one. Raises LayerError for shapes, labels and options that do not fit.
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/detection_group_loss_layer.cpp
    """

    exact_bottoms = 3
    also_reads = ("loss_param", "bbox_reg_param")

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index < 2

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        p = self.param
        note_without_effect(self, *DIVISORS, param=self.layer_param.loss_param)
        self.code = box_code(self)
        self.fields = fields_of(self, p.field_w, p.field_h, p.stride)
        self.factor = float(getattr(p, "lambda"))  # a word of Python's own
        for name, known in (
            ("neg_mining_type", ("random", "bootstrap", "mixture")),
            ("neg_ranking_type", ("conf_loss", "conf_prob")),
            ("bbox_loss_type", ("Smooth_L1", "Euclidean_L2")),
        ):
            if getattr(p, name) not in known:
                raise self.error(f"unknown {name} '{getattr(p, name)}' (known: {', '.join(known)})")
        if p.batch_size < 1 and p.batch_size != -1:
            raise self.error(f"needs batch_size of 1 or more, or -1, got {p.batch_size}")
        if p.objectness and p.cls_num != 2:
            raise self.error(f"needs cls_num 2 with objectness, got {p.cls_num}")
        self.bound = self._bound() if p.HasField("field_xyr") and p.HasField("field_whr") else None
        self.draws = random.RandomStream(random.stream().raw())

    def _bound(self) -> tuple[Array, Array]:
        """The least and the largest offsets, (4, 1, 1) each."""
        p, (means, stds, _) = self.param, self.code
        if not (p.field_xyr > 0 and p.field_whr > 0):
            raise self.error(
                f"needs field_xyr and field_whr above 0, got {p.field_xyr:g} and {p.field_whr:g}"
            )
        reach = np.array([1 / p.field_xyr, math.log(p.field_whr)])
        mean, std = means.reshape(2, 2).mean(axis=1), np.sqrt(stds.reshape(2, 2).prod(axis=1))
        low, high = ((sign * reach - mean) / std for sign in (-1, 1))
        return tuple(np.repeat(b, 2)[:, None, None].astype(self.dtype) for b in (low, high))  # type: ignore[return-value]

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        _check_maps(self, bottom, self.param.cls_num, self.fields.kinds)
        top[0].reshape(1, 1, 1, 2)

    # ----------------------------------------------------------------------- which cells count

    def _cells(self, labels: Indices, overlaps: Array, hardness: Array) -> Flags:
        """Which cells count.  All: (N g, h, w)."""
        shape = (-1, self.fields.kinds * labels[0].size)
        by_image = [values.reshape(shape) for values in (labels, overlaps, hardness)]
        return np.stack([self._cells_of(*own) for own in zip(*by_image, strict=True)]).reshape(labels.shape)

    def _cells_of(self, labels: Indices, overlaps: Array, hardness: Array) -> Flags:
        """Which cells of an image count.  All: (count,)."""
        p = self.param
        objects = np.flatnonzero(labels > 0)
        background = np.flatnonzero((labels == 0) & (overlaps < np.float32(p.bg_threshold)))
        if p.batch_size > 0:
            wanted = min(math.floor(p.batch_size / (1 + p.bg_multiple) + 0.5), len(objects))
            room = p.batch_size - wanted
        else:
            wanted, room = len(objects), max(len(objects) * p.bg_multiple, p.min_num_neg)
        if len(objects) > wanted:
            objects = objects[self.draws.permutation(len(objects))][:wanted]
        if len(background) > room:
            background = self._mined(background, hardness[background], room)
        counts = np.zeros(len(labels), bool)
        counts[objects] = counts[background] = True
        return counts

    def _mined(self, cells: Indices, hardness: Array, count: int) -> Indices:
        """So many of these cells."""
        kind = self.param.neg_mining_type
        hard = {"random": 0, "bootstrap": count, "mixture": math.floor(count / 2 + 0.5)}[kind]
        if hard:
            cells = cells[np.argsort(hardness, kind="stable")[::-1]]
        rest = cells[hard:]
        if hard < count:
            rest = rest[self.draws.permutation(len(rest))]
        return np.append(cells[:hard], rest[: count - hard])

    def _weights(self, labels: Indices, counts: Flags) -> Array:
        """How much each cell weighs, (N g, h, w)."""
        weights, share = np.ones(labels.shape), 1 / (1 + self.param.bg_multiple)
        if self.param.pos_neg_weighted:
            for own, part in ((labels > 0, share), (labels <= 0, 1 - share)):
                total = (own & counts).sum()
                if total:
                    weights[own] = part * counts.sum() / total
        return weights

    # ---------------------------------------------------------------------- values and gradients

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p, truth = self.param, bottom[2].data
        labels, classes = _labels_of(self, truth, p.cls_num, p.objectness)
        x = bottom[0].data.astype(np.float64)
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.probability = e / e.sum(axis=1, keepdims=True)
        own = np.take_along_axis(self.probability, classes.clip(0)[:, None], axis=1)[:, 0]
        losses = -np.log(np.maximum(own, LEAST_PROBABILITY))
        hardness = losses if p.neg_ranking_type == "conf_loss" else 1 - self.probability[:, 0]
        counts = self._cells(labels, truth[:, OVERLAP], hardness.astype(self.dtype))
        weights = self._weights(labels, counts)
        if self.ignore_label is not None:
            counts &= classes != self.ignore_label
        self.weights, self.classes = counts * weights / max(counts.sum(), 1), classes
        conf = (losses * self.weights).sum()
        bbox = self._box_loss(bottom, truth, counts & (labels > 0))
        top[0].data.ravel()[:] = conf + self.factor * bbox, self.factor * bbox

    def _box_loss(self, bottom: Blobs, truth: Array, counts: Flags) -> float:
        """The mean loss of coordinates; keeps its gradient."""
        if self.bound is not None:
            np.clip(bottom[1].data, *self.bound, out=bottom[1].data)
        targets = self.fields.encoded(truth[:, BOX]).transpose(0, 2, 3, 1)
        errors = bottom[1].data.transpose(0, 2, 3, 1)[counts] - self.code.normalised(targets[counts])
        is_square = self.param.bbox_loss_type == "Euclidean_L2"
        count = max(errors.size, 1)
        self.slopes = np.zeros(bottom[1].shape, self.dtype)
        slopes = errors if is_square else errors.clip(-1, 1)
        self.slopes.transpose(0, 2, 3, 1)[counts] = slopes / count
        losses = errors.astype(np.float64) ** 2 / 2 if is_square else smooth_l1(errors)
        mean: float = losses.sum(dtype=np.float64) / count
        return mean

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down[2:]):
            raise self.error("has no gradient to propagate down to labels")
        scale = float(top[0].diff.ravel()[0])
        if propagate_down[0]:
            wanted = np.arange(self.param.cls_num)[:, None, None] == self.classes[:, None]
            bottom[0].diff[...] = scale * self.weights[:, None] * (self.probability - wanted)
        if propagate_down[1]:
            np.multiply(self.slopes, self.dtype.type(scale * self.factor), out=bottom[1].diff)


@register_layer("DetectionGroupAccuracy", param="detection_group_accuracy_param", origin="Cascade R-CNN")
class DetectionGroupAccuracyLayer(WithoutGradient[caffe_pb2.DetectionGroupAccuracyParameter]):
    """The share of cells whose highest score is that of their label, and the mean overlap of their boxes.

    Cells of label 0 that overlap an object by `bg_threshold` or more do not count. Boxes are those of
    BoxGroupOutput, not clipped; those of cells with an object count.

    Bottom: as for DetectionGroupLoss. Top: (1, 1, 1, 2), of all cells, and of those with an object;
    optionally the mean overlap, (1, 1, 1, 1); -1 where no cell counts. There is no gradient. Raises
    LayerError for shapes and labels that do not fit.
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/detection_group_accuracy_layer.cpp
    """

    exact_bottoms = 3
    min_tops, max_tops = 1, 2
    also_reads = ("loss_param", "bbox_reg_param")

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p, loss = self.param, self.layer_param.loss_param
        of_losses = ("weight_by_label_freqs", "class_weighting", "label_smoothing")
        note_without_effect(self, *DIVISORS, *of_losses, param=loss)
        self.code = box_code(self)
        self.fields = fields_of(self, p.field_w, p.field_h, p.stride)
        self.ignore_label = loss.ignore_label if loss.HasField("ignore_label") else None
        if not (p.field_xyr > 0 and p.field_whr > 0):
            raise self.error(
                f"needs field_xyr and field_whr above 0, got {p.field_xyr:g} and {p.field_whr:g}"
            )
        reach, stretch = 1 / p.field_xyr, math.log(p.field_whr)
        self.bound = np.array([reach, reach, stretch, stretch], self.dtype)[:, None, None]

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        _check_maps(self, bottom, self.param.cls_num, self.fields.kinds)
        for blob, count in zip(top, (2, 1), strict=False):
            blob.reshape(1, 1, 1, count)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p, truth = self.param, bottom[2].data
        labels, classes = _labels_of(self, truth, p.cls_num, p.objectness)
        counts = (classes != 0) | (truth[:, OVERLAP] < np.float32(p.bg_threshold))
        boxes_count = labels != 0
        if self.ignore_label is not None:
            counts &= classes != self.ignore_label
            boxes_count &= labels != self.ignore_label
        right = bottom[0].data.argmax(axis=1) == classes
        for i, own in enumerate((counts, counts & (classes != 0))):
            top[0].data[0, 0, 0, i] = right[own].mean() if own.any() else -1
        if len(top) > 1:
            found = self._overlaps(bottom[1].data, truth[:, BOX], boxes_count)
            top[1].data[...] = found.mean(dtype=np.float64) if len(found) else -1

    def _overlaps(self, offsets: Array, truth: Array, counts: Flags) -> Array:
        """Of the boxes of these cells with the ground truth, by centre and size."""
        code = self.code
        meant = offsets * code.stds[:, None, None] + code.means[:, None, None]
        boxes = self.fields.decoded(meant.clip(-self.bound, self.bound)).transpose(0, 2, 3, 1)[counts]
        own = truth.transpose(0, 2, 3, 1)[counts]
        low = own[:, :2] - own[:, 2:] / 2
        return pair_overlaps(boxes, np.hstack([low, low + own[:, 2:] - 1]))
