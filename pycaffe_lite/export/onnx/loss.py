"""Losses and Accuracy, as numbers; an ONNX file has no gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pycaffe_lite.export.onnx.graph import Shape, count_of
from pycaffe_lite.export.onnx.layer_graph import LayerGraph
from pycaffe_lite.export.onnx.registry import converts, refuses
from pycaffe_lite.kernels.softmax_loss import LEAST
from pycaffe_lite.layer.detection.multibox_focal_loss import MultiBoxFocalLossLayer
from pycaffe_lite.layer.detection.multibox_loss import MultiBoxLossLayer
from pycaffe_lite.layer.detection.region_loss import RegionLossLayer
from pycaffe_lite.layer.detection.yolov3 import Yolov3Layer
from pycaffe_lite.layer.loss.accuracy import AccuracyLayer
from pycaffe_lite.layer.loss.balanced_cross_entropy_loss import SigmoidCrossEntropyBalanceLossLayer
from pycaffe_lite.layer.loss.center_loss import CenterLossLayer
from pycaffe_lite.layer.loss.contrastive_loss import ContrastiveLossLayer
from pycaffe_lite.layer.loss.euclidean_loss import EuclideanLossLayer
from pycaffe_lite.layer.loss.focal_loss import FactorFocalLossLayer, FocalLossLayer
from pycaffe_lite.layer.loss.hashing_loss import HashingLossLayer
from pycaffe_lite.layer.loss.hinge_loss import HingeLossLayer
from pycaffe_lite.layer.loss.infogain_loss import InfogainLossLayer
from pycaffe_lite.layer.loss.l1_loss import FlowL1LossLayer, LpqLossLayer
from pycaffe_lite.layer.loss.label_specific_add import LabelSpecificAddLayer
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.loss.multinomial_logistic_loss import MultinomialLogisticLossLayer
from pycaffe_lite.layer.loss.seg_accuracy import SegAccuracyLayer
from pycaffe_lite.layer.loss.sigmoid_cross_entropy_loss import SigmoidCrossEntropyLossLayer
from pycaffe_lite.layer.loss.smooth_l1_loss import (
    DistanceLossLayer,
    L1LossLayer,
    PlaceSmoothL1LossLayer,
    RegionSmoothL1LossLayer,
    SmoothL1LossLayer,
)
from pycaffe_lite.layer.loss.softmax_with_loss import SoftmaxWithLossLayer
from pycaffe_lite.layer.loss.triplet_loss import TripletLossLayer
from pycaffe_lite.layer.loss.weighted_softmax_loss import WeightedSoftmaxWithLossLayer
from pycaffe_lite.layer.sequence.ctc_loss import CtcLossLayer, SequenceCTCLossLayer
from pycaffe_lite.layer.sequence.labelsequence_accuracy import LabelsequenceAccuracyLayer
from pycaffe_lite.proto import caffe_pb2

_LEAST_P = 1e-20  # of Infogain and MultinomialLogisticLoss

refuses(
    "it matches predictions with ground truth, for training only; `pycaffe-lite deploy` takes losses out",
    MultiBoxLossLayer,
    MultiBoxFocalLossLayer,
    RegionLossLayer,
    Yolov3Layer,
)
refuses(
    "it sums over all alignments of labels, for training only; `pycaffe-lite deploy` takes losses out",
    CtcLossLayer,
    SequenceCTCLossLayer,
)
refuses(
    "it leaves out what ground truth has as NaN, for training only; `pycaffe-lite deploy` takes losses out",
    FlowL1LossLayer,
    LpqLossLayer,
)

refuses(
    "it compares sequences with their labels, for training only; `pycaffe-lite deploy` takes it out",
    LabelsequenceAccuracyLayer,
)


def _fixed(g: LayerGraph, n: int | str) -> int:
    """A length that a loss is divided by.

    Raises:
        LayerError: it is not fixed.
    """
    if isinstance(n, str):
        raise g.refuse("a loss is a mean over a batch of a fixed size: give a batch size")
    return n


class _Labels(NamedTuple):
    """Labels as indices, (outer, 1, inner).

    Attributes:
        places: 0 where they are ignored. counts: where they are not; None if none may be.
        outer, inner: how many there are before and after the axis of the classes.
    """

    places: str
    counts: str | None
    outer: int
    inner: int

    def shape(self, C: int) -> Shape:
        """That of scores for C classes."""
        return (self.outer, C, self.inner)


def _labels(g: LayerGraph, axis: int, ignored: int | None, k: int = 1) -> _Labels:
    """The labels in bottom k, of scores in the first bottom with the classes on an axis."""
    shape = g.bottom_shapes[0]
    outer, inner = _fixed(g, count_of(shape[:axis])), _fixed(g, count_of(shape[axis + 1 :]))
    index = g.to_int(g.reshape(g.bottoms[k], (outer, 1, inner), g.bottom_shapes[k]))
    if ignored is None:
        return _Labels(index, None, outer, inner)
    counts = g.op("Not", g.op("Equal", index, g.ints(ignored)))
    return _Labels(g.op("Where", counts, index, g.ints(0)), counts, outer, inner)


def _total(g: LayerGraph, x: str, rank: int, labels: _Labels | None = None) -> str:
    """The sum of all values, (), of those that count."""
    if labels is not None and labels.counts is not None:
        x = g.op("Where", labels.counts, x, g.floats(0.0))
    return g.reduce_all("Sum", x, rank)


def _divided(g: LayerGraph, layer: LossLayer[Any], total: str, labels: _Labels) -> str:
    """A sum over its Z, see `LossLayer.normalizer`."""
    fixed = layer.fixed_normalizer(labels.outer, labels.inner)
    if not fixed and labels.counts is None:
        fixed = float(labels.outer * labels.inner)
    if fixed:
        return g.op("Div", total, g.floats(fixed))
    counted = g.reduce_all("Sum", g.to_float(labels.counts or ""), 3)
    return g.op("Div", total, g.op("Max", counted, g.floats(1.0)))


def _probabilities(g: LayerGraph, axis: int, labels: _Labels) -> tuple[str, str, int]:
    """The softmax, as it is and as (outer, C, inner), and C."""
    shape = g.bottom_shapes[0]
    C = int(shape[axis])
    p = g.softmax(g.x, axis, len(shape))
    return p, g.reshape(p, labels.shape(C), shape), C


def _log(g: LayerGraph, p: str, least: float) -> str:
    """-ln max(p, least)."""
    return g.op("Neg", g.op("Log", g.op("Max", p, g.floats(least))))


def _axis(g: LayerGraph, axis: int) -> int:
    return axis % len(g.bottom_shapes[0])


@converts(SoftmaxWithLossLayer, WeightedSoftmaxWithLossLayer)
def softmax_with_loss(g: LayerGraph, layer: SoftmaxWithLossLayer) -> list[str]:
    """`Softmax`, `GatherElements`, `Log` and `ReduceSum`."""
    axis = _axis(g, layer.param.axis)
    labels = _labels(g, axis, layer.ignore_label)
    p, folded, _ = _probabilities(g, axis, labels)
    losses = _log(g, g.op("GatherElements", folded, labels.places, axis=1), LEAST)
    if isinstance(layer, WeightedSoftmaxWithLossLayer):
        losses = g.op("Mul", losses, g.op("Gather", g.floats(layer.weights), labels.places))
    loss = _divided(g, layer, _total(g, losses, 3, labels), labels)
    if len(g.top_shapes) < 3:
        return [loss, p][: len(g.top_shapes)]
    if labels.counts is not None:
        losses = g.op("Where", labels.counts, losses, g.floats(0.0))
    return [loss, p, g.reshape(losses, g.top_shapes[2], labels.shape(1))]


@converts(FocalLossLayer, FactorFocalLossLayer)
def focal_loss(g: LayerGraph, layer: FocalLossLayer) -> list[str]:
    """`Softmax`, `GatherElements`, `Pow`, `Log`, `Mul` and `ReduceSum`."""
    axis = _axis(g, layer.classes_axis())
    labels = _labels(g, axis, layer.ignore_label)
    p, folded, _ = _probabilities(g, axis, labels)
    of_label = g.op("GatherElements", folded, labels.places, axis=1)
    if isinstance(layer, FactorFocalLossLayer):
        distance, factor = g.op("Relu", g.shifted(g.scaled(of_label, -1), 1.0)), layer.alpha
    else:
        distance, factor = g.shifted(g.scaled(of_label, layer.sign), layer.param.alpha), 1.0
    scale = g.scaled(g.op("Pow", distance, g.floats(layer.param.gamma)), factor)
    losses = g.op("Mul", scale, _log(g, of_label, LEAST))
    return [_divided(g, layer, _total(g, losses, 3, labels), labels), p][: len(g.top_shapes)]


@converts(InfogainLossLayer)
def infogain_loss(g: LayerGraph, layer: InfogainLossLayer) -> list[str]:
    """`Softmax`, `Log`, `Gather` of the matrix's rows, `Mul` and `ReduceSum`."""
    axis = _axis(g, layer.param.axis)
    labels = _labels(g, axis, layer.ignore_label)
    p, folded, C = _probabilities(g, axis, labels)
    if layer.stored is None:
        matrix = g.reshape(g.bottoms[2], (C, C), g.bottom_shapes[2])
    else:
        matrix = g.weight(layer.stored.reshape(C, C), "matrix")
    rows = g.op("Gather", matrix, g.squeeze(labels.places, [1]))  # (outer, inner, C)
    weights = g.op("Transpose", rows, perm=[0, 2, 1])
    total = _total(g, g.op("Mul", weights, _log(g, folded, _LEAST_P)), 3, labels)
    return [_divided(g, layer, total, labels), p][: len(g.top_shapes)]


def _batch(g: LayerGraph, k: int = 0) -> tuple[str, int]:
    """Bottom k as a matrix with a row for each record, and how many there are."""
    shape = g.bottom_shapes[k]
    N = _fixed(g, shape[0])
    return g.reshape(g.bottoms[k], (N, _fixed(g, count_of(shape[1:]))), shape), N


@converts(MultinomialLogisticLossLayer)
def multinomial_logistic_loss(g: LayerGraph, layer: MultinomialLogisticLossLayer) -> str:
    """`GatherElements`, `Log`, `ReduceSum` and `Div`."""
    p, N = _batch(g)
    index = g.to_int(g.reshape(g.bottoms[1], (N, 1), g.bottom_shapes[1]))
    losses = _log(g, g.op("GatherElements", p, index, axis=1), _LEAST_P)
    return g.op("Div", _total(g, losses, 2), g.floats(N))


@converts(HingeLossLayer)
def hinge_loss(g: LayerGraph, layer: HingeLossLayer) -> str:
    """`Equal`, `Where`, `Relu`, `ReduceSum` and `Div`."""
    x, N = _batch(g)
    K = _fixed(g, count_of(g.bottom_shapes[0][1:]))
    index = g.to_int(g.reshape(g.bottoms[1], (N, 1), g.bottom_shapes[1]))
    is_label = g.op("Equal", index, g.ints(np.arange(K)[None]))
    h = g.op("Relu", g.shifted(g.op("Where", is_label, g.op("Neg", x), x), 1.0))
    return g.op("Div", _total(g, g.op("Mul", h, h) if layer.squared else h, 2), g.floats(N))


@converts(EuclideanLossLayer)
def euclidean_loss(g: LayerGraph, layer: EuclideanLossLayer) -> str:
    """`Sub`, `ReduceSumSquare` and `Div`."""
    a, N = _batch(g)
    b = g.reshape(g.bottoms[1], (N, count_of(g.bottom_shapes[0][1:])), g.bottom_shapes[1])
    return g.op("Div", g.reduce_all("SumSquare", g.op("Sub", a, b), 2), g.floats(2 * N))


@converts(ContrastiveLossLayer)
def contrastive_loss(g: LayerGraph, layer: ContrastiveLossLayer) -> str:
    """`Sub`, `ReduceSumSquare`, `Sqrt`, `Relu`, `Where` and `ReduceSum`."""
    (a, N), (b, _) = _batch(g, 0), _batch(g, 1)
    similar = g.to_bool(g.to_int(g.reshape(g.bottoms[2], (N,), g.bottom_shapes[2])))
    squares = g.reduce("SumSquare", g.op("Sub", a, b), [1])
    margin = g.floats(layer.param.margin)
    if layer.param.legacy_version:
        apart = g.op("Relu", g.op("Sub", margin, squares))
    else:
        room = g.op("Relu", g.op("Sub", margin, g.op("Sqrt", squares)))
        apart = g.op("Mul", room, room)
    return g.op("Div", _total(g, g.op("Where", similar, squares, apart), 1), g.floats(2 * N))


@converts(TripletLossLayer)
def triplet_loss(g: LayerGraph, layer: TripletLossLayer) -> str:
    """`Sub`, `ReduceSumSquare`, `Relu` and `ReduceSum`."""
    (a, N), (p, _), (n, _) = (_batch(g, k) for k in range(3))
    near, far = (g.reduce("SumSquare", g.op("Sub", a, other), [1]) for other in (p, n))
    losses = g.op("Relu", g.shifted(g.op("Sub", near, far), layer.param.margin))
    return g.op("Div", _total(g, losses, 1), g.floats(2 * N))


@converts(CenterLossLayer)
def center_loss(g: LayerGraph, layer: CenterLossLayer) -> str:
    """`Gather` of the centres, `Sub`, `ReduceSumSquare` or `ReduceL1`, and `Div`."""
    axis = _axis(g, layer.param.axis)
    shape = g.bottom_shapes[0]
    M = _fixed(g, count_of(shape[:axis]))
    x = g.reshape(g.x, (M, layer.K))
    index = g.to_int(g.reshape(g.bottoms[1], (M,), g.bottom_shapes[1]))
    distance = g.op("Sub", x, g.op("Gather", g.weight(layer.centers, "centers"), index))
    if layer.param.distance_type == "L1":
        return g.op("Div", g.reduce_all("L1", distance, 2), g.floats(M))
    return g.op("Div", g.reduce_all("SumSquare", distance, 2), g.floats(2 * M))


@converts(SigmoidCrossEntropyLossLayer)
def sigmoid_cross_entropy_loss(g: LayerGraph, layer: SigmoidCrossEntropyLossLayer) -> str:
    """`Softplus`, `Mul`, `Sub` and `ReduceSum`."""
    outer = _fixed(g, g.bottom_shapes[0][0])
    inner = _fixed(g, count_of(g.bottom_shapes[0][1:]))
    x = g.reshape(g.x, (outer, 1, inner))
    t = g.reshape(g.bottoms[1], (outer, 1, inner), g.bottom_shapes[1])
    counts = None
    if layer.ignore_label is not None:
        counts = g.op("Not", g.op("Equal", g.to_int(t), g.ints(layer.ignore_label)))
    labels = _Labels("", counts, outer, inner)
    losses = g.op("Sub", g.softplus(x), g.op("Mul", x, t))
    return _divided(g, layer, _total(g, losses, 3, labels), labels)


@converts(SigmoidCrossEntropyBalanceLossLayer)
def balanced_cross_entropy_loss(g: LayerGraph, layer: SigmoidCrossEntropyBalanceLossLayer) -> str:
    """`Equal` and `ReduceSum` for the shares, `Softplus`, `Mul`, `Sub` and `ReduceSum`."""
    N, rest = (_fixed(g, n) for n in (g.bottom_shapes[0][0], count_of(g.bottom_shapes[0][1:])))
    x, t = (g.reshape(v, (N, rest), of) for v, of in zip(g.bottoms, g.bottom_shapes, strict=True))
    which = [g.to_float(g.op("Equal", t, g.floats(value))) for value in (1.0, 0.0)]
    counts = [g.reduce("Sum", each, [1], keep=True) for each in which]
    both = g.op("Max", g.op("Add", *counts), g.floats(1.0))
    weights = [g.op("Mul", own, other) for own, other in zip(which, reversed(counts), strict=True)]
    losses = g.op("Sub", g.softplus(x), g.op("Mul", x, t))
    weighted = g.op("Mul", g.op("Div", g.op("Add", *weights), both), losses)
    return g.scaled(g.reduce_all("Sum", weighted, 2), 1 / N)


@converts(HashingLossLayer)
def hashing_loss(g: LayerGraph, layer: HashingLossLayer) -> str:
    """`Sub` and `ReduceSumSquare` of all pairs, `Equal` or `MatMul` of labels, `Where` and `ReduceSum`."""
    N = _fixed(g, g.bottom_shapes[0][0])
    bits, labels = (_fixed(g, count_of(shape)) // N for shape in g.bottom_shapes)
    x = g.reshape(g.x, (N, bits))
    t = g.reshape(g.bottoms[1], (N, labels), g.bottom_shapes[1])
    squares = g.reduce("SumSquare", g.op("Sub", g.unsqueeze(x, [1]), g.unsqueeze(x, [0])), [2])
    if labels > 1:
        shared = g.op("MatMul", t, g.op("Transpose", t, perm=[1, 0]))
        alike = g.op("Greater", shared, g.floats(0.0))
    else:
        whole = g.to_int(t)
        alike = g.op("Equal", whole, g.op("Transpose", whole, perm=[1, 0]))
    apart = g.op("Relu", g.op("Sub", g.floats(layer.param.bi_margin), squares))
    each_once = g.op("Mul", g.op("Where", alike, squares, apart), g.floats(np.triu(np.ones((N, N)), 1)))
    rest = g.op("Abs", g.shifted(g.op("Abs", x), -1.0))
    pairs = g.scaled(g.reduce_all("Sum", each_once, 2), 1 / (N * (N - 1)))
    return g.op("Add", pairs, g.scaled(g.reduce_all("Sum", rest, 2), layer.param.tradeoff / N))


# ---------------------------------------------------------------------------- sums of distances


@converts(SmoothL1LossLayer, RegionSmoothL1LossLayer, PlaceSmoothL1LossLayer, L1LossLayer)
def distance_loss(g: LayerGraph, layer: DistanceLossLayer[Any]) -> list[str]:
    """`Sub`, `Abs`, `Where`, `ReduceSum` and `Div`."""
    shape = g.bottom_shapes[0]
    rank, N = len(shape), _fixed(g, shape[0])
    b, *weights = (g.reshape(x, shape, of) for x, of in zip(g.bottoms[1:], g.bottom_shapes[1:], strict=True))
    d = g.op("Sub", g.x, b)
    if weights:
        d = g.op("Mul", d, weights[0])
    losses = g.op("Abs", d)
    if not isinstance(layer, L1LossLayer):
        bend = layer.bend if isinstance(layer, RegionSmoothL1LossLayer) else 1.0
        square = g.scaled(g.op("Mul", d, d), 0.5 / bend)
        is_small = g.op("Less", losses, g.floats(bend))
        losses = g.op("Where", is_small, square, g.shifted(losses, -bend / 2))
    if len(weights) > 1:
        losses = g.op("Mul", losses, weights[1])
    Z = float(N)
    if isinstance(layer, PlaceSmoothL1LossLayer):
        Z = layer.fixed_normalizer(N, _fixed(g, count_of(shape[2:])))
    loss = g.op("Div", _total(g, losses, rank), g.floats(Z))
    if len(g.top_shapes) == 1:
        return [loss]
    by_place = g.reduce("Sum", losses, [1], keep=True)
    return [loss, g.reshape(by_place, g.top_shapes[1], (N, 1, *shape[2:]))]


# ------------------------------------------------------------------------------------- accuracies


def _class_sums(g: LayerGraph, values: str, labels: _Labels, C: int) -> str:
    """The sums of values, (outer, 1, inner), by the class of the label: (C,)."""
    of_class = g.to_float(g.op("Equal", labels.places, g.ints(np.arange(C).reshape(1, C, 1))))
    return g.reduce("Sum", g.op("Mul", of_class, values), [0, 2])


@converts(AccuracyLayer)
def accuracy(g: LayerGraph, layer: AccuracyLayer) -> list[str]:
    """`GatherElements`, `Less`, `ReduceSum` and `Div`."""
    p, shape = layer.param, g.bottom_shapes[0]
    axis = _axis(g, p.axis)
    labels = _labels(g, axis, p.ignore_label if p.HasField("ignore_label") else None)
    C = int(shape[axis])
    x = g.reshape(g.op("Neg", g.x) if p.min_is_better else g.x, labels.shape(C), shape)
    own = g.op("GatherElements", x, labels.places, axis=1)
    # As many classes as are not worse than the label's own, itself among them.
    not_worse = g.reduce("Sum", g.to_float(g.op("Not", g.op("Less", x, own))), [1], keep=True)
    right = g.to_float(g.op("Less", not_worse, g.floats(p.top_k + 0.5)))
    ones = g.floats(np.ones((labels.outer, 1, labels.inner)))
    counts = ones if labels.counts is None else g.to_float(labels.counts)
    right = g.op("Mul", right, counts)

    def share(part: str, whole: str) -> str:
        return g.op("Div", part, g.op("Max", whole, g.floats(1.0)))

    result = [share(_total(g, right, 3), _total(g, counts, 3))]
    if len(g.top_shapes) > 1:
        result.append(share(_class_sums(g, right, labels, C), _class_sums(g, counts, labels, C)))
    return result


@converts(SegAccuracyLayer)
def seg_accuracy(g: LayerGraph, layer: SegAccuracyLayer) -> str:
    """`TopK` of reversed scores, `Equal`, `ReduceSum` and `Div`; not with `reset: false`, for all passes."""
    if not layer.param.reset:
        raise g.refuse("`reset: false` counts the pixels of all passes")
    N, C, H, W = g.bottom_shapes[0]
    pixels = _fixed(g, count_of((N, H, W)))
    scores = g.op("Transpose", g.x, perm=[0, 2, 3, 1])
    turned = g.slice(scores, [-1], [-(2**63) + 1], [3], [-1])
    found = g.ops("TopK", turned, g.ints([1]), results=2, axis=3)[1]
    found = g.reshape(g.op("Sub", g.ints(int(C) - 1), found), (pixels, 1), (N, H, W, 1))
    label = g.reshape(g.to_int(g.bottoms[1]), (pixels, 1), g.bottom_shapes[1])
    classes = g.ints(np.arange(int(C))[None])
    is_label = g.to_float(g.op("Equal", label, classes))  # of no class where the label is ignored
    for value in layer.ignored:
        is_label = g.op("Where", g.op("Equal", label, g.ints(int(value))), g.floats(0.0), is_label)
    counts = g.reduce("Sum", is_label, [1], keep=True)
    is_found = g.op("Mul", g.to_float(g.op("Equal", found, classes)), counts)
    right = g.reduce("Sum", g.op("Mul", is_label, is_found), [0])
    labelled, chosen = (g.reduce("Sum", x, [0]) for x in (is_label, is_found))
    either = g.op("Sub", g.op("Add", labelled, chosen), right)
    one = g.floats(1.0)
    occurs = g.to_float(g.op("Greater", labelled, g.floats(0.5)))
    total = g.reduce("Sum", labelled, [0])
    pixel = g.op("Div", g.reduce("Sum", right, [0]), g.op("Max", total, one))
    recalls = g.reduce("Sum", g.op("Div", right, g.op("Max", labelled, one)), [0])
    recall = g.op("Div", recalls, g.op("Max", g.reduce("Sum", occurs, [0]), one))
    is_there = g.op("Greater", either, g.floats(0.5))
    overlap = g.op("Where", is_there, g.op("Div", right, g.op("Max", either, one)), one)
    overlap = g.reduce("Mean", overlap, [0])
    parts = [g.unsqueeze(part, [0]) for part in (pixel, recall, overlap)]
    return g.reshape(g.op("Concat", *parts, axis=0), (1, 1, 1, 3), (3,))


@converts(LabelSpecificAddLayer)
def label_specific_add(g: LayerGraph, layer: LabelSpecificAddLayer) -> str:
    """Nothing."""
    if layer.phase == caffe_pb2.TRAIN or len(g.top_shapes) > 1:
        raise g.refuse("it takes a margin off the label's score in training; export the net's TEST phase")
    return g.x
