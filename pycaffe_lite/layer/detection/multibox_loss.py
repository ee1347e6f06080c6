"""MultiBoxLoss: what a detector's offsets and scores are trained by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import boxes, sorting
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.detection.ground_truth import GroundTruth, Indices, ground_truth, shape_of_rows
from pycaffe_lite.layer.detection.priors import Priors, check_predictions, priors_of
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

MultiBoxLossParameter = caffe_pb2.MultiBoxLossParameter
NONE, MAX_NEGATIVE = MultiBoxLossParameter.NONE, MultiBoxLossParameter.MAX_NEGATIVE
HARD_EXAMPLE = MultiBoxLossParameter.HARD_EXAMPLE
LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)


@register_layer("MultiBoxLoss", param="multibox_loss_param", origin="SSD")
class MultiBoxLossLayer(LossLayer[MultiBoxLossParameter]):
    """Errors of offsets and classes: loss = (loc_weight Σ l(t - t*) + Σ -ln p[class]) / Z.

    The first sum is over the prior boxes that were matched with ground truth, whose offsets are t*; the
    second over these and the unmatched ones with the highest losses, at most neg_pos_ratio for each matched
    one. l is the smooth L1 loss (d²/2 below 1, |d| - 1/2 above), or d²/2 with `loc_loss_type: L2`; with
    `conf_loss_type: LOGISTIC` the classes' part is the cross entropy of sigmoids. Z is the number of matches,
    or what `loss_param` says, 1 at least. With `encode_variance_in_target` t - t* is divided by the
    variances; the gradient is not, in the fork either.

    Matching: `kernels.boxes.match`. Mining: MAX_NEGATIVE as above, of the priors that overlap nothing by
    `neg_overlap`; HARD_EXAMPLE, the `sample_size` priors with the highest losses of both kinds, matched or
    not; NONE, all priors. Priors of a picture without ground truth are no negatives.

    Bottom: offsets, (N, P L 4), with L = 1 if `share_location`, else the number of classes; scores, (N, P C);
    prior boxes, (1, 2, P 4); ground truth, (1, 1, G, 8): image, class, instance, xmin, ymin, xmax, ymax,
    difficult. RefineDet gives two more: scores, (N, P 2), where a second one below `objectness_score` keeps a
    prior from being a negative; and offsets, (N, P 4), which move the priors first. Top: the loss, (). Only
    the offsets and the scores have a gradient; a `propagate_down: false` for one of them takes its part out
    of the loss.
    Raises LayerError for shapes that do not fit, mining without share_location, ground truth of the
    background's class or of none, and boxes that have no code.
    Paper: Liu et al., "SSD: Single Shot MultiBox Detector", 2016 (arXiv 1512.02325).
    Source: weiliu89/caffe src/caffe/layers/multibox_loss_layer.cpp, src/caffe/util/bbox_util.cpp;
    sfzhang15/RefineDet for bottoms 5 and 6
    """

    exact_bottoms: ClassVar[int | None] = None
    ignores_labels = False
    min_bottoms, max_bottoms = 4, 6

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index < 2

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        p = self.param
        if p.num_classes < 1:
            raise self.error("needs multibox_loss_param { num_classes: ... } of 1 or more")
        self.C, self.L = p.num_classes, 1 if p.share_location else p.num_classes
        self.background = p.background_label_id
        self.mining = p.mining_type
        if p.HasField("do_neg_mining") and p.do_neg_mining != (self.mining != NONE):
            raise self.error("do_neg_mining contradicts mining_type: leave it out, it is the old name")
        if self.mining != NONE and not p.share_location:
            raise self.error("needs share_location for mining")
        if p.map_object_to_agnostic and (self.C, self.background) != (2, 0):
            got = f"{self.C} and {self.background}"
            raise self.error(
                f"needs num_classes 2 and background_label_id 0 for map_object_to_agnostic, got {got}"
            )
        is_softmax = p.conf_loss_type == MultiBoxLossParameter.SOFTMAX
        if is_softmax and self.background >= self.C:
            raise self.error(f"needs background_label_id from 0 to {self.C - 1}, got {self.background}")
        if p.neg_pos_ratio <= 0 and self.mining == MAX_NEGATIVE:
            raise self.error(f"needs neg_pos_ratio above 0, got {p.neg_pos_ratio:g}")
        parts = list(self.layer_param.propagate_down) or [True, True]
        self.counts_loc, self.counts_conf = parts[0], parts[1]

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.P = check_predictions(self, bottom, self.C, self.L)
        self.N = bottom[0].num
        if shape_of_rows(bottom[3])[-1] != 8:
            raise self.error(f"needs ground truth of 8 numbers a row, got shape {bottom[3].shape}")
        for blob, each in zip(bottom[4:], (2, 4), strict=False):
            if blob.count != self.N * self.P * each:
                raise self.error(
                    f"needs {each} values for each of {self.P} prior boxes, got shape {blob.shape}"
                )
        top[0].reshape(())

    # ------------------------------------------------------------------------------------------- forward

    @np.errstate(over="ignore", invalid="ignore")  # scores may be infinite or NaN: then the loss is
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        offsets = bottom[0].data.reshape(self.N, self.P, self.L, 4)
        scores = bottom[1].data.reshape(self.N, self.P, self.C)
        priors = priors_of(bottom[2], p.code_type, p.encode_variance_in_target)
        if len(bottom) > 5:
            priors = priors.moved(bottom[5].data.reshape(self.N, self.P, 4))
        truth = self._truth(bottom)
        index, best = self._match(priors, offsets, truth)
        is_candidate = np.ones((self.N, self.P), bool)
        if len(bottom) > 4:
            is_candidate = bottom[4].data.reshape(self.N, self.P, 2)[..., 1] >= p.objectness_score
        negatives = self._mine(priors, offsets, scores, truth, index, best, is_candidate)
        matches = int((index > -1).sum())
        self.normalizer_of_pass = self.normalizer(self.N, self.P, matches)
        loc = self._loc_loss(priors, offsets, truth, index)
        conf = self._conf_loss(scores, truth, index, negatives)
        loss = (p.loc_weight * loc if self.counts_loc else 0.0) + (conf if self.counts_conf else 0.0)
        top[0].data[...] = loss / self.normalizer_of_pass

    def _truth(self, bottom: Blobs) -> GroundTruth:
        """The ground truth, whose classes have to be those of objects."""
        truth = ground_truth(bottom[3], self.N, with_difficult=self.param.use_difficult_gt)
        wrong = (truth.images < 0) | (truth.images >= self.N)
        if wrong.any():
            got = truth.images[wrong][0]
            raise self.error(f"needs ground truth of images 0 to {self.N - 1}, got image {got}")
        if (truth.classes == self.background).any():
            raise self.error(f"ground truth has class {self.background}, which is the background's")
        if self.C == 2:  # RefineDet: only whether it is an object at all
            truth = truth._replace(classes=np.minimum(truth.classes, 1))
        most = np.inf if self.param.map_object_to_agnostic else self.C
        wrong = (truth.classes < 0) | (truth.classes >= most)
        if wrong.any():
            raise self.error(
                f"ground truth has class {truth.classes[wrong][0]}, classes are 0 to {self.C - 1}"
            )
        return truth

    def _match(self, priors: Priors, offsets: Array, truth: GroundTruth) -> tuple[Indices, Array]:
        """Which ground truth each prior has been given for each of the L classes, and their overlap.

        Returns:
            (L, N, P), the place among its image's, -1: none, -2: takes no part; and (N, P).
        """
        index = np.full((self.L, self.N, self.P), -1)
        best = np.zeros((self.N, self.P), offsets.dtype)
        if self.param.use_prior_for_matching:
            self._match_boxes(priors.boxes, truth, index[0], best)
            if self.L > 1:  # a match is one of the class of its ground truth
                common, (n, p) = index[0].copy(), np.nonzero(index[0] > -1)
                index[:] = np.minimum(common, -1)
                index[truth.classes[truth.starts[n] + common[n, p]], n, p] = common[n, p]
        else:
            decoded = priors.decode(offsets)
            for i in range(self.L):
                own, places = truth.of_class(i) if self.L > 1 else (truth, np.arange(0))
                if self.L > 1 and i == self.background:
                    continue
                self._match_boxes(np.ascontiguousarray(decoded[:, :, i]), own, index[i], best)
                if self.L > 1:
                    n, p = np.nonzero(index[i] > -1)
                    index[i, n, p] = places[own.starts[n] + index[i, n, p]]
        return index, best

    def _match_boxes(self, own: Array, truth: GroundTruth, index: Indices, best: Array) -> None:
        p = self.param
        each = p.match_type == MultiBoxLossParameter.PER_PREDICTION
        boxes.match(
            own, truth.boxes.astype(own.dtype), truth.starts, float(p.overlap_threshold), each,
            p.ignore_cross_boundary_bbox, index, best,
        )  # fmt: skip

    def _labels(self, truth: GroundTruth, images: Indices, index: Indices) -> Indices:
        """The classes of matches: of images, the places of their ground truth."""
        if self.param.map_object_to_agnostic:
            return np.full(len(images), self.background + 1)
        labels: Indices = truth.classes[truth.starts[images] + index]
        return labels

    # -------------------------------------------------------------------------------------------- mining

    def _mine(
        self, priors: Priors, offsets: Array, scores: Array, truth: GroundTruth, index: Indices, best: Array,
        is_candidate: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.bool_]:  # fmt: skip
        """Which priors are negatives, (N, P); hard examples take matches out of the index as well."""
        negatives = np.zeros((self.N, self.P), bool)
        if self.mining == NONE or not len(truth.images):
            return negatives
        losses = self._conf_losses(scores, truth, index[0])
        if self.mining == HARD_EXAMPLE:
            losses += self._loc_losses(priors, offsets, truth, index)
        else:
            is_candidate = is_candidate & (index[0] == -1) & (best < self.param.neg_overlap)
        for n in np.flatnonzero(truth.counts).tolist():
            matched = index[0, n] > -1
            candidates = np.flatnonzero(is_candidate[n])
            most = self.param.sample_size
            if self.mining == MAX_NEGATIVE:
                most = int(np.float32(matched.sum()) * np.float32(self.param.neg_pos_ratio))
            chosen = np.zeros(self.P, bool)
            chosen[self._hardest(n, candidates, losses[n, candidates], most, priors, offsets)] = True
            negatives[n] = chosen & (index[0, n] == -1)
            if self.mining == HARD_EXAMPLE:
                index[0, n, matched & ~chosen] = -1
        return negatives

    def _hardest(
        self, n: int, candidates: Indices, losses: Array, most: int, priors: Priors, offsets: Array
    ) -> Indices:
        """The candidates with the highest losses, those left out that overlap one with a higher loss."""
        nms = self.param.nms_param
        if not self.param.HasField("nms_param") or nms.nms_threshold <= 0:
            hardest: Indices = candidates[sorting.descending(losses)[:most]]
            return hardest
        own = priors.boxes[n if len(priors.boxes) > 1 else 0]
        if not self.param.use_prior_for_nms:
            own = priors.decode(offsets)[n, :, 0]
        top_k = nms.top_k if nms.HasField("top_k") and nms.top_k > -1 else len(candidates)
        kept = np.empty(len(candidates), np.int64)
        count = boxes.suppress_all(
            np.ascontiguousarray(own[candidates]), np.ascontiguousarray(losses), top_k,
            float(nms.nms_threshold), kept,
        )  # fmt: skip
        return candidates[kept[: min(count, most)]]

    def _conf_losses(self, scores: Array, truth: GroundTruth, index: Indices) -> Array:
        """The classes' part of the loss of each prior, (N, P), in float64."""
        labels = np.full((self.N, self.P), self.background)
        n, p = np.nonzero(index > -1)
        labels[n, p] = self._labels(truth, n, index[n, p])
        x = scores.astype(np.float64)
        if self.param.conf_loss_type == MultiBoxLossParameter.SOFTMAX:
            p_of_label = np.take_along_axis(_softmax(x), labels[..., None], axis=-1)[..., 0]
            result: Array = -np.log(np.maximum(p_of_label, LEAST_PROBABILITY))
            return result
        targets = labels[..., None] == np.arange(self.C)
        losses: Array = _cross_entropy(x, targets).sum(axis=-1)
        return losses

    def _loc_losses(self, priors: Priors, offsets: Array, truth: GroundTruth, index: Indices) -> Array:
        """The offsets' part of the loss of each prior, (N, P), in float64; 0 where it has no match."""
        losses = np.zeros((self.N, self.P))
        _, images, places = np.nonzero(index > -1)
        difference = self._offset_errors(priors, offsets, truth, index)
        losses[images, places] = self._robust(difference).sum(axis=1)
        return losses

    # -------------------------------------------------------------------------------------- the two parts

    def _offset_errors(self, priors: Priors, offsets: Array, truth: GroundTruth, index: Indices) -> Array:
        """How far the offsets of matches are from those of their ground truth, (matches, 4), in float64."""
        images, classes, places = self._matches(index)
        own, variances = priors.of(images, places)
        targets = np.empty((len(images), 4))
        wanted = truth.boxes[truth.starts[images] + index[classes, images, places]]
        exact = [np.ascontiguousarray(a, np.float64) for a in (own, variances, wanted)]
        if boxes.encode(exact[0], exact[1], priors.code, priors.encoded, exact[2], targets):
            raise self.error(
                "cannot encode ground truth: it, and prior boxes, need positive widths, heights and variances"
            )
        errors = offsets[images, places, classes].astype(np.float64) - targets
        if priors.encoded:
            errors /= exact[1]
        if self.param.bp_inside:
            matched = (
                own if self.param.use_prior_for_matching else priors.decode(offsets)[images, places, classes]
            )
            errors[(matched < 0) | (matched > 1)] = 0
        return errors

    @staticmethod
    def _matches(index: Indices) -> tuple[Indices, Indices, Indices]:
        """Images, classes and places of the matches, image by image."""
        images, classes, places = np.nonzero(index.swapaxes(0, 1) > -1)
        return images, classes, places

    def _robust(self, errors: Array) -> Array:
        """The smooth L1 loss, or half the squares."""
        size = np.abs(errors)
        squares = errors**2 / 2
        if self.param.loc_loss_type == MultiBoxLossParameter.L2:
            return squares
        return np.where(size < 1, squares, size - 0.5)

    def _loc_loss(self, priors: Priors, offsets: Array, truth: GroundTruth, index: Indices) -> float:
        """The offsets' part; keeps its gradient."""
        self.located = self._matches(index)
        errors = self._offset_errors(priors, offsets, truth, index)
        is_l2 = self.param.loc_loss_type == MultiBoxLossParameter.L2
        self.loc_gradient = errors if is_l2 else errors.clip(-1, 1)
        return float(self._robust(errors).sum())

    def _conf_loss(
        self, scores: Array, truth: GroundTruth, index: Indices, negatives: npt.NDArray[np.bool_]
    ) -> float:
        """The classes' part; keeps its gradient and the places that it is for."""
        images, classes, places = self._matches(index)
        labels = np.full((self.N, self.P), self.background)
        labels[images, places] = self._labels(truth, images, index[classes, images, places])
        counts = negatives.copy() if self.mining != NONE else np.ones((self.N, self.P), bool)
        counts[images, places] = True
        self.classified = np.nonzero(counts)
        x, labels = scores[self.classified].astype(np.float64), labels[self.classified]
        targets = labels[:, None] == np.arange(self.C)
        if self.param.conf_loss_type == MultiBoxLossParameter.SOFTMAX:
            return self._softmax_loss(_softmax(x), targets)
        if self.mining == NONE:
            targets = self._forks_targets(images, labels.reshape(self.N, self.P)[images, places], places)
        self.conf_gradient = 1 / (1 + np.exp(-x)) - targets
        return float(_cross_entropy(x, targets).sum())

    def _softmax_loss(self, p: Array, targets: npt.NDArray[np.bool_]) -> float:
        """The classes' part for SOFTMAX, of probabilities, (count, C); keeps its gradient."""
        self.conf_gradient = p - targets
        return float(-np.log(np.maximum(p[targets], LEAST_PROBABILITY)).sum())

    def _forks_targets(self, images: Indices, labels: Indices, places: Indices) -> npt.NDArray[np.bool_]:
        """The targets of all priors as the fork lays them down, which is right for one image only.

        Those of an image begin P numbers after those of the image before, not P C; and only matches have one.
        """
        targets = np.full(self.N * self.P * self.C, bool(self.background))
        targets[(images * self.P) + places * self.C + labels] = True
        return targets.reshape(-1, self.C)

    # ------------------------------------------------------------------------------------------ backward

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down[2:]):
            raise self.error("has no gradient to propagate down to prior boxes or ground truth")
        scale = float(top[0].diff[()]) / self.normalizer_of_pass
        if propagate_down[0]:
            bottom[0].diff.fill(0)
            images, classes, places = self.located
            d = bottom[0].diff.reshape(self.N, self.P, self.L, 4)
            d[images, places, classes] = scale * self.param.loc_weight * self.loc_gradient
        if propagate_down[1]:
            bottom[1].diff.fill(0)
            bottom[1].diff.reshape(self.N, self.P, self.C)[self.classified] = scale * self.conf_gradient


def _softmax(x: Array) -> Array:
    """Softmax over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    result: Array = e / e.sum(axis=-1, keepdims=True)
    return result


def _cross_entropy(x: Array, targets: npt.NDArray[np.bool_]) -> Array:
    """The cross entropy of sigmoids of x and targets, each for itself."""
    losses: Array = np.maximum(x, 0) - x * targets + np.log1p(np.exp(-np.abs(x)))
    return losses
