"""Detection heads: boxes by ONNX's own operators, with the forks' numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pycaffe_lite.export.onnx.graph import Shape, count_of
from pycaffe_lite.export.onnx.layer_graph import LOWEST, LayerGraph
from pycaffe_lite.export.onnx.registry import converts, refuses
from pycaffe_lite.export.onnx.shapes import sized_by_data
from pycaffe_lite.kernels import boxes as box_codes
from pycaffe_lite.layer.detection.box_annotator_ohem import BoxAnnotatorOHEMLayer
from pycaffe_lite.layer.detection.detection_evaluate import DetectionEvaluateLayer
from pycaffe_lite.layer.detection.detection_output import DetectionOutputLayer
from pycaffe_lite.layer.detection.prior_box import PriorBoxClusteredLayer, PriorBoxLayer
from pycaffe_lite.layer.detection.yolov3_detection_output import (
    SPREADS,
    Yolov3DetectionOutputLayer,
)

ROW = 7  # numbers of a detection
_NO_LIMIT = 2**31 - 1

refuses(
    "it counts right and wrong detections, for training only; `pycaffe-lite deploy` takes it out",
    DetectionEvaluateLayer,
)
refuses("it chooses examples to learn from, for training only", BoxAnnotatorOHEMLayer)
sized_by_data(2, DetectionOutputLayer, Yolov3DetectionOutputLayer)


def suppressed(
    g: LayerGraph,
    boxes: str,
    scores: str,
    threshold: float,
    *,
    most: int,
    least: float = LOWEST,
    by_centre: bool = False,
) -> str:
    """Which boxes stay: (M, 3), image, class and box, the highest score of each class first.

    Args:
        g: the graph. boxes: (N, P, 4), corners; by_centre: centre and size. scores: (N, C, P).
        threshold: the overlap above which the lower score goes. most: of a class that stay.
        least: the score above which a box counts.
    """
    return g.op(
        "NonMaxSuppression", boxes, scores,
        g.ints([most]), g.floats([min(threshold, 1.0)]), g.floats([least]),
        center_point_box=int(by_centre),
    )  # fmt: skip


@converts(PriorBoxLayer, PriorBoxClusteredLayer)
def prior_box(g: LayerGraph, layer: PriorBoxLayer | PriorBoxClusteredLayer) -> str:
    """A constant."""
    variances = np.broadcast_to(layer.variance, layer.priors.shape)
    return g.weight(np.stack([layer.priors.ravel(), variances.ravel()])[None], "priors")


# --------------------------------------------------------------------------------------------- SSD


class _Priors(NamedTuple):
    """Prior boxes, whose corners are (1 or N, P, 1) each, and their variances, (P, 1) each."""

    corners: list[str]
    variances: list[str] | None
    code: int


def _columns(g: LayerGraph, rows: str, rank: int) -> list[str]:
    """The four columns of rows of four, each with an axis of length 1 in their place."""
    return g.split(rows, rank - 1, [1, 1, 1, 1])


def _number_of_priors(g: LayerGraph, layer: DetectionOutputLayer) -> int | str:
    """P, or a word for it where the priors are regions that the data gives."""
    return layer.P if all(isinstance(n, int) for n in g.bottom_shapes[1][1:]) else "priors"


def _priors_of(g: LayerGraph, layer: DetectionOutputLayer) -> _Priors:
    p, kinds = layer.param, int(g.bottom_shapes[2][1])
    each = 4 if p.normalized else 5  # the first of which is an image's number
    P = _number_of_priors(g, layer)
    parts = g.split(g.reshape(g.bottoms[2], (kinds, P, each), g.bottom_shapes[2]), 0, [1] * kinds)
    if not p.normalized:
        parts = [g.slice(part, [1], [5], [2]) for part in parts]
        size = [p.input_width, p.input_height] * 2
        parts[0] = g.op("Div", parts[0], g.floats(size))
    own = None if p.variance_encoded_in_target else _columns(g, g.squeeze(parts[1], [0]), 2)
    corners = parts[0]
    return _Priors(_columns(g, corners, 3), own, layer.param.code_type)


def _decoded(g: LayerGraph, priors: _Priors, offsets: list[str]) -> list[str]:
    """The corners that offsets from prior boxes mean; see `kernels.boxes.decode`."""
    x0, y0, x1, y1 = priors.corners
    t = offsets
    if priors.variances is not None:
        t = [g.op("Mul", own, offset) for own, offset in zip(priors.variances, offsets, strict=True)]
    width, height = g.op("Sub", x1, x0), g.op("Sub", y1, y0)
    if priors.code == box_codes.CENTER_SIZE:
        x = g.op("Add", g.op("Mul", t[0], width), g.scaled(g.op("Add", x0, x1), 0.5))
        y = g.op("Add", g.op("Mul", t[1], height), g.scaled(g.op("Add", y0, y1), 0.5))
        w = g.scaled(g.op("Mul", g.op("Exp", t[2]), width), 0.5)
        h = g.scaled(g.op("Mul", g.op("Exp", t[3]), height), 0.5)
        return [g.op("Sub", x, w), g.op("Sub", y, h), g.op("Add", x, w), g.op("Add", y, h)]
    if priors.code == box_codes.CORNER_SIZE:
        t = [g.op("Mul", part, size) for part, size in zip(t, (width, height) * 2, strict=True)]
    return [g.op("Add", corner, part) for corner, part in zip(priors.corners, t, strict=True)]


def _class_scores(g: LayerGraph, layer: DetectionOutputLayer) -> tuple[str, list[int]]:
    """The scores of the classes but the background, (N, C', P), and these classes."""
    N, P, C = g.bottom_shapes[1][0], _number_of_priors(g, layer), layer.C
    scores = g.reshape(g.bottoms[1], (N, P, C), g.bottom_shapes[1])
    if len(g.bottoms) > 3:
        objects = g.reshape(g.bottoms[3], (N, P, 2), g.bottom_shapes[3])
        is_nothing = g.op("Less", g.split(objects, 2, [1, 1])[1], g.floats(layer.param.objectness_score))
        background = np.eye(C)[0].reshape(1, 1, C)
        scores = g.op("Where", is_nothing, g.floats(background), scores)
    classes = [c for c in range(C) if c != layer.param.background_label_id]
    by_class = g.op("Transpose", scores, perm=[0, 2, 1])
    if len(classes) < C:
        by_class = g.op("Gather", by_class, g.ints(classes), axis=1)
    return by_class, classes


def _best_only(g: LayerGraph, scores: str, shape: Shape, most: int) -> str:
    """Scores, (N, C', P), of which all but the `most` highest of each class are the lowest number."""
    if isinstance(shape[2], int):
        values, places = g.ops("TopK", scores, g.ints([most]), results=2, axis=2)
    else:  # there may be fewer
        count = g.op("Gather", g.op("Shape", scores), g.ints([2]))
        in_order = g.ops("TopK", scores, count, results=2, axis=2)
        values, places = (g.slice(part, [0], [most], [2]) for part in in_order)
    lowest = g.full(LOWEST, shape, scores, shape)
    return g.op("ScatterElements", lowest, places, values, axis=2)


@converts(DetectionOutputLayer)
def detection_output(g: LayerGraph, layer: DetectionOutputLayer) -> str:
    """`Exp`, `Mul`, `Add`, `TopK`, `ScatterElements`, `NonMaxSuppression` and `GatherND`; not with eta."""
    nms = layer.param.nms_param
    if nms.eta != 1:
        raise g.refuse("nms_param.eta changes the threshold box by box, which NonMaxSuppression does not")
    N, P, L = g.bottom_shapes[0][0], _number_of_priors(g, layer), layer.L
    scores, classes = _class_scores(g, layer)
    of_scores: Shape = (N, len(classes), P)
    every_box = P if isinstance(P, int) else _NO_LIMIT
    most = min(nms.top_k, every_box) if nms.HasField("top_k") and nms.top_k > -1 else every_box
    priors = _priors_of(g, layer)
    if len(g.bottoms) > 4:
        moves = g.reshape(g.bottoms[4], (N, P, 4), g.bottom_shapes[4])
        priors = priors._replace(corners=_decoded(g, priors, _columns(g, moves, 3)))
    if most < every_box:
        scores = _best_only(g, scores, of_scores, most)
    if L == 1:
        offsets = g.reshape(g.bottoms[0], (N, P, 4), g.bottom_shapes[0])
        boxes = g.op("Concat", *_decoded(g, priors, _columns(g, offsets, 3)), axis=2)
        found = suppressed(g, boxes, scores, nms.nms_threshold, most=every_box, least=float(layer.least))
        image, label, box = g.split(found, 1, [1, 1, 1])
    else:  # each class has boxes of its own, and stands for an image here
        boxes = _boxes_by_class(g, layer, priors, classes)
        every = (count_of((N, len(classes))), 1, P)
        scores = g.reshape(scores, every, of_scores)
        found = suppressed(g, boxes, scores, nms.nms_threshold, most=every_box, least=float(layer.least))
        both, label, box = g.split(found, 1, [1, 1, 1])
        image = g.op("Div", both, g.ints(len(classes)))
        scores = g.reshape(scores, of_scores, every)
        label = g.op("Mod", both, g.ints(len(classes)))
        boxes = g.reshape(boxes, (N, len(classes), P, 4), (every[0], P, 4))
    score = g.unsqueeze(g.op("GatherND", scores, g.op("Concat", image, label, box, axis=1)), [1])
    where = [image, box] if L == 1 else [image, label, box]
    corners = g.op("GatherND", boxes, g.op("Concat", *where, axis=1))
    label = g.op("Gather", g.ints(classes), label)
    rows = g.op("Concat", g.to_float(image), g.to_float(label), score, corners, axis=1)
    if layer.param.keep_top_k > -1:
        rows = _best_of_each_image(g, rows, image, score, layer.param.keep_top_k, N)
    return _or_nothing(g, rows, N)


def _boxes_by_class(g: LayerGraph, layer: DetectionOutputLayer, priors: _Priors, classes: list[int]) -> str:
    """The boxes of each class, (N C', P, 4)."""
    N, P, L = g.bottom_shapes[0][0], _number_of_priors(g, layer), layer.L
    of: Shape = (N, P, L, 4)
    offsets = g.op("Transpose", g.reshape(g.bottoms[0], of, g.bottom_shapes[0]), perm=[0, 2, 1, 3])
    offsets = g.op("Gather", offsets, g.ints(classes), axis=1)
    corners = [g.unsqueeze(corner, [1]) for corner in priors.corners]
    decoded = _decoded(g, priors._replace(corners=corners), _columns(g, offsets, 4))
    boxes = g.op("Concat", *decoded, axis=3)
    every: Shape = (count_of((N, len(classes))), P, 4)
    return g.reshape(boxes, every, (N, len(classes), P, 4))


def _best_of_each_image(g: LayerGraph, rows: str, image: str, score: str, most: int, N: int | str) -> str:
    """The rows with the highest scores of each image, in their order.

    image, score: of each row, (M, 1).
    """
    count = g.op("Gather", g.op("Shape", rows), g.ints([0]))
    order = g.ops("TopK", g.squeeze(score, [1]), count, results=2, axis=0)[1]
    images = g.op("Gather", image, order, axis=0)  # (M, 1), the highest score first
    if isinstance(N, int):
        numbers = g.ints(np.arange(N)[None])
    else:
        size = g.op("Gather", g.op("Shape", g.bottoms[0]), g.ints(0))
        numbers = g.unsqueeze(g.op("Range", g.ints(0), size, g.ints(1)), [0])
    is_own = g.to_float(g.op("Equal", images, numbers))  # (M, N)
    rank = g.op("CumSum", is_own, g.ints(0))
    own_rank = g.reduce("Sum", g.op("Mul", rank, is_own), [1])  # from 1 on
    is_best = g.to_float(g.op("Less", own_rank, g.floats(most + 0.5)))
    in_order = g.op("ScatterElements", g.op("Mul", is_best, g.floats(0.0)), order, is_best, axis=0)
    return g.op("Compress", rows, g.to_bool(in_order), axis=0)


def _or_nothing(g: LayerGraph, rows: str, N: int | str) -> str:
    """Detections as (1, 1, M, 7); where there are none, for each image its number and -1 six times."""
    if isinstance(N, int):
        none = np.full((N, ROW), -1.0)
        none[:, 0] = np.arange(N)
        nothing = g.floats(none)
        numbers = g.ints(np.arange(N))
    else:
        size = g.op("Gather", g.op("Shape", g.bottoms[0]), g.ints(0))
        numbers = g.op("Range", g.ints(0), size, g.ints(1))
        first = g.unsqueeze(g.to_float(numbers), [1])
        nothing = g.op(
            "Concat", first, *[g.op("Sub", g.scaled(first, 0.0), g.floats(1.0))] * (ROW - 1), axis=1
        )
    count = g.op("Gather", g.op("Shape", rows), g.ints(0))
    # Whether there is none, for each image.
    is_empty = g.op("Equal", g.op("Add", g.op("Mul", numbers, g.ints(0)), count), g.ints(0))
    every = g.op("Concat", rows, g.op("Compress", nothing, is_empty, axis=0), axis=0)
    return g.unsqueeze(every, [0, 1])


# -------------------------------------------------------------------------------------------- YOLO


@converts(Yolov3DetectionOutputLayer)
def yolov3_detection_output(g: LayerGraph, layer: Yolov3DetectionOutputLayer) -> str:
    """`Sigmoid`, `Exp`, `Mul`, `Compress`, then `NonMaxSuppression` and `Gather`."""
    N = g.bottom_shapes[0][0]
    heads = [_head(g, layer, k) for k in range(len(g.bottoms))]
    boxes, labels, scores = (g.op("Concat", *parts, axis=0) for parts in zip(*heads, strict=True))
    threshold = float(np.nextafter(np.float32(layer.param.nms_threshold), np.float32(-1)))
    # A list of candidates, whatever their image and class.
    one_box, one_score = g.unsqueeze(boxes, [0]), g.unsqueeze(g.squeeze(scores, [1]), [0, 1])
    found = suppressed(g, one_box, one_score, threshold, most=_NO_LIMIT, by_centre=True)
    kept = g.squeeze(g.split(found, 1, [1, 1, 1])[2], [1])
    box, label, score = (g.op("Gather", part, kept, axis=0) for part in (boxes, labels, scores))
    x, y, w, h = _columns(g, box, 2)
    w, h = g.scaled(w, 0.5), g.scaled(h, 0.5)
    corners = [g.op("Sub", x, w), g.op("Sub", y, h), g.op("Add", x, w), g.op("Add", y, h)]
    rows = g.op("Concat", g.scaled(score, 0.0), label, score, *corners, axis=1)
    return _or_nothing(g, rows, N)


def _head(g: LayerGraph, layer: Yolov3DetectionOutputLayer, k: int) -> tuple[str, str, str]:
    """The candidates of a head: boxes by centre and size, (M, 4), classes from 1 on and scores, (M, 1)."""
    p = layer.param
    N, _, H, W = g.bottom_shapes[k]
    A, C = p.num_box, p.num_classes
    step = 2 if p.gaussian_box else 1
    planes = 5 + C + (SPREADS if p.gaussian_box else 0)
    # Cells come first, then their anchors: (N, H, W, A, planes).
    head = g.reshape(g.bottoms[k], (N, A, planes, H, W), g.bottom_shapes[k])
    head = g.op("Transpose", head, perm=[0, 3, 4, 1, 2])
    sizes = [step] * 4 + [1, C]
    x, y, w, h, objectness, classes = g.split(head, 4, sizes)
    certain = g.op("Sigmoid", objectness)
    if p.gaussian_box:
        parts = [g.split(part, 4, [1, 1]) for part in (x, y, w, h)]
        x, y, w, h = (part[0] for part in parts)
        spread = g.sum_of([g.op("Sigmoid", part[1]) for part in parts])
        certain = g.op("Mul", certain, g.shifted(g.scaled(spread, -0.25), 1.0))
    score = g.op("Mul", g.op("Sigmoid", classes), certain)  # (N, H, W, A, C)
    columns, rows = np.arange(int(W)).reshape(1, 1, -1, 1, 1), np.arange(int(H)).reshape(1, -1, 1, 1, 1)
    anchors = layer.anchors[k].astype(np.float32)
    across, down = (anchors[:, i].reshape(1, 1, 1, -1, 1) / int(n) for i, n in enumerate((W, H)))
    box = g.op(
        "Concat",
        g.scaled(g.op("Add", g.op("Sigmoid", x), g.floats(columns)), 1 / int(W)),
        g.scaled(g.op("Add", g.op("Sigmoid", y), g.floats(rows)), 1 / int(H)),
        g.op("Mul", g.op("Exp", w), g.floats(across)),
        g.op("Mul", g.op("Exp", h), g.floats(down)),
        axis=4,
    )
    cells = count_of((N, H, W, A))
    boxes = g.reshape(box, (cells, 4), (N, H, W, A, 4))
    scores = g.reshape(score, (cells, C), (N, H, W, A, C))
    places = g.op("NonZero", g.op("Greater", scores, g.floats(p.confidence_threshold)))  # (2, M)
    places = g.op("Transpose", places, perm=[1, 0])
    cell, label = g.split(places, 1, [1, 1])
    kept = g.op("Gather", boxes, g.squeeze(cell, [1]), axis=0)
    return kept, g.shifted(g.to_float(label), 1.0), g.unsqueeze(g.op("GatherND", scores, places), [1])
