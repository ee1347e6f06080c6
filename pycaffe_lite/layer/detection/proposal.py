"""Proposal: Faster R-CNN's regions to look at, as a layer of C++ forks, in two forms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import anchors as kernels
from pycaffe_lite.kernels import sorting
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.detection.anchors import RATIOS, SCALES, anchors_of, around_centre
from pycaffe_lite.layer.detection.ground_truth import Indices
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


class _ProposalLayer(Layer[caffe_pb2.ProposalParameter]):
    """What both forms have in common.

    Attributes:
        anchors: of the first cell, (A, 4).
    """

    exact_bottoms = 3
    min_tops, max_tops = 1, 2
    anchors: Array

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Checks the bottoms; the tops' sizes depend on their values."""
        A, (scores, deltas, info) = len(self.anchors), bottom
        if len(scores.shape) != 4 or scores.channels != 2 * A:
            raise self.error(f"needs scores of shape (N, {2 * A}, H, W), for {A} anchors, got {scores.shape}")
        N, _, H, W = scores.shape
        if deltas.shape != (N, 4 * A, H, W):
            raise self.error(f"needs offsets of shape {(N, 4 * A, H, W)}, got {deltas.shape}")
        if info.count < 3:
            raise self.error(
                f"needs the picture's height, width and scale in the third bottom, got shape {info.shape}"
            )

    def candidates(self, bottom: Blobs, n: int, height: float, width: float) -> tuple[Array, Array]:
        """A box for each anchor of each cell of an image, (H, W, A, 4), and their scores, (A, H, W)."""
        (_, _, H, W), A = bottom[0].shape, len(self.anchors)
        boxes = np.empty((H, W, A, 4), self.dtype)
        kernels.decode(bottom[1].data[n], self.anchors, float(self.param.feat_stride), height, width, boxes)
        return boxes, bottom[0].data[n, A:]

    def write(self, top: Blobs, regions: Array, scores: Array, scores_shape: tuple[int, ...]) -> None:
        """Fills the tops."""
        top[0].reshape(len(regions), 5)
        top[0].data[...] = regions
        if len(top) > 1:
            top[1].reshape(scores_shape)
            top[1].data[...] = scores.reshape(scores_shape)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")


def _kept(boxes: Array, order: Indices, threshold: float, most: int) -> Indices:
    """Of the boxes in this order, those that stay."""
    kept = np.empty(min(most, len(order)), np.int64)
    return kept[: kernels.suppress(boxes, order, threshold, len(kept), kept)]


@register_layer("Proposal", param="proposal_param", origin="several detectors")
class ProposalLayer(_ProposalLayer):
    """The boxes with the highest scores, less those that overlap a better one: regions to look at.

    A box is an anchor moved by its offsets and clipped to the picture; one with a side below `min_size` times
    the picture's scale gets the score 0. Of an image's boxes the `pre_nms_topn` best count, one after
    another; one that overlaps a better one by more than `nms_thresh` is dropped; `post_nms_topn` stay.

    Anchors are `base_size` squares given each `ratio` of height to width and multiplied by each `scale`; with
    none given, 0.5, 1 and 2, and 8, 16 and 32. Where all scales are base_size or more they are happynear's:
    the sides of the squares themselves.

    Bottom: scores, (N, 2 A, H, W), the last A those of objects; offsets, (N, 4 A, H, W); the pictures'
    height, width and scale, once or for height and width. Top: regions, (R, 5): image, x1, y1, x2, y2;
    optionally their scores, (R,). There is no gradient. Raises LayerError for shapes that do not fit, and
    sizes of 0.
    Paper: Ren et al., "Faster R-CNN", 2015 (arXiv 1506.01497).
    Source: openvinotoolkit/training_toolbox_caffe and happynear/caffe-windows
    src/caffe/layers/proposal_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        for name in ("feat_stride", "base_size", "pre_nms_topn", "post_nms_topn"):
            if getattr(p, name) < 1:
                raise self.error(f"needs {name} of 1 or more, got {getattr(p, name)}")
        ratios, scales = list(p.ratio) or RATIOS, list(p.scale) or SCALES
        if min(*ratios, *scales, 1) <= 0:
            raise self.error("needs ratios and scales above 0")
        self.anchors = self._anchors(np.array(ratios), np.array(scales))
        top[0].reshape(bottom[0].num * p.post_nms_topn, 5)
        if len(top) > 1:
            top[1].reshape(bottom[0].num * p.post_nms_topn)

    def _anchors(self, ratios: Array, scales: Array) -> Array:
        base = self.param.base_size
        widths = np.sqrt(base**2 / ratios)
        if scales.min() < base:
            widths = np.floor(widths + 0.5)
            return around_centre(base, widths, np.floor(widths * ratios + 0.5), scales)
        sizes = np.stack([widths, widths * ratios], axis=1)[:, None] * (scales / base)[:, None]
        reach = np.trunc(sizes.reshape(-1, 2) - 0.5) / 2
        return np.hstack([(base - 1) / 2 - reach, (base - 1) / 2 + reach])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p, info = self.param, bottom[2].data.reshape(-1)
        height, width, *scale = (float(value) for value in info[:4])
        least = p.min_size * np.array([scale[-1], scale[0]], self.dtype)  # of x and y
        found, scores = [], []
        for n in range(bottom[0].num):
            boxes, own = self.candidates(bottom, n, height, width)
            boxes = boxes.reshape(-1, 4)
            large = (boxes[:, 2:] - boxes[:, :2] + 1 >= least).all(axis=1)
            own = own.transpose(1, 2, 0).reshape(-1) * large
            order = sorting.best_first(own, p.pre_nms_topn)[: p.pre_nms_topn]
            kept = _kept(boxes, order, float(p.nms_thresh), p.post_nms_topn)
            found.append(np.column_stack([np.full(len(kept), n), boxes[kept]]))
            scores.append(own[kept])
        regions = np.concatenate(found)
        self.write(top, regions, np.concatenate(scores), (len(regions),))


_SYNOPSYS = ("anchor_base_size", "anchor_scale", "anchor_ratio", "max_rois", "rpn_min_size", "rpn_nms_thresh")


def _is_synopsys(layer: caffe_pb2.LayerParameter) -> bool:
    return any(layer.proposal_param.HasField(name) for name in _SYNOPSYS)


@register_layer("Proposal", param="proposal_param", origin="synopsys", applies=_is_synopsys)
class NumberedProposalLayer(_ProposalLayer):
    """The boxes with the highest scores, less those that overlap a better one, for one picture.

    As the other form, but `anchor_scale` and `anchor_ratio` are how many scales and ratios there are: three,
    8, 16 and 32, and 0.5, 1 and 2; or one, 32, and 1. Boxes with a side below `rpn_min_size` times the
    picture's scale are dropped, but for the last one, which the fork leaves out of that; of equal scores the
    last comes first; one that overlaps a better one by more than `rpn_nms_thresh` is dropped, and `max_rois`
    stay.

    Bottom: scores, (1, 2 A, H, W), the last A those of objects; offsets, (1, 4 A, H, W); the picture's
    height, width and scale. Top: regions, (R, 5): image 0 and x1, y1, x2, y2; optionally their scores, (R,
    1). There is no gradient. Raises LayerError for shapes that do not fit, and sizes of 0.
    Source: foss-for-synopsys-dwc-arc-processors/synopsys-caffe src/caffe/layers/proposal_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        for name in ("feat_stride", "anchor_base_size", "pre_nms_topn", "max_rois"):
            if getattr(p, name) < 1:
                raise self.error(f"needs {name} of 1 or more, got {getattr(p, name)}")
        scales = SCALES if p.anchor_scale == len(SCALES) else SCALES[-1:]
        ratios = RATIOS if p.anchor_ratio == len(RATIOS) else (1.0,)
        self.anchors = anchors_of(p.anchor_base_size, ratios, scales)
        top[0].reshape(1, 1, 1, 5)
        if len(top) > 1:
            top[1].reshape(1, 1, 1, 1)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if bottom[0].num != 1:
            raise self.error(f"works on one picture at a time, got scores of shape {bottom[0].shape}")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        height, width, scale = (float(value) for value in bottom[2].data.reshape(-1)[:3])
        boxes, scores = self.candidates(bottom, 0, int(height), int(width))
        # Anchor by anchor: of equal scores, the order decides.
        boxes, scores = boxes.transpose(2, 0, 1, 3).reshape(-1, 4), scores.reshape(-1)
        large = (boxes[:, 2:] - boxes[:, :2] + 1 >= p.rpn_min_size * scale).all(axis=1)
        large[-1:] = True
        candidates = np.flatnonzero(large)
        order = candidates[np.argsort(scores[candidates], kind="stable")[::-1]][: p.pre_nms_topn]
        kept = _kept(boxes, order, float(p.rpn_nms_thresh), p.max_rois)
        regions = np.column_stack([np.zeros(len(kept)), boxes[kept]])
        self.write(top, regions, scores[kept], (len(kept), 1))
