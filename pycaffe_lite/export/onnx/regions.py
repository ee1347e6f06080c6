"""Regions of interest: those that a net proposes, and what it pools over them."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.export.onnx.detection import suppressed
from pycaffe_lite.export.onnx.graph import Shape, count_of
from pycaffe_lite.export.onnx.layer_graph import INT_MAX, LOWEST, LayerGraph
from pycaffe_lite.export.onnx.registry import converts, refuses
from pycaffe_lite.export.onnx.shapes import sized_by_data
from pycaffe_lite.layer.detection.decode_bbox import BboxAccuracyLayer
from pycaffe_lite.layer.detection.detection_group import DetectionGroupAccuracyLayer, DetectionGroupLossLayer
from pycaffe_lite.layer.detection.frcnn_evaluate import FrcnnEvaluateLayer
from pycaffe_lite.layer.detection.proposal import NumberedProposalLayer
from pycaffe_lite.layer.detection.proposal import ProposalLayer as ForkProposalLayer
from pycaffe_lite.layer.detection.proposal_target import ProposalTargetLayer as CascadeTargetLayer
from pycaffe_lite.layer.detection.region_routing import HardMiningLayer
from pycaffe_lite.layer.detection.roi_align import CornerROIAlignLayer, ROIAlignLayer, ROIAlignmentLayer
from pycaffe_lite.layer.detection.roi_pooling import PSROIPoolingLayer, ROIPoolingLayer
from pycaffe_lite.layer.detection.rpn import AnchorTargetLayer, ProposalLayer, ProposalTargetLayer
from pycaffe_lite.layer.utility.python import PythonLayer

_LAST_MAX_ROI_POOL = 21
_LITTLE = 1e-30
_LEARNING = "it chooses what to learn from, for training only"
_JUDGING = "it judges boxes by ground truth, for training only"
refuses(_LEARNING, AnchorTargetLayer, ProposalTargetLayer, CascadeTargetLayer, HardMiningLayer)
refuses(_JUDGING, BboxAccuracyLayer, FrcnnEvaluateLayer, DetectionGroupAccuracyLayer, DetectionGroupLossLayer)
refuses(
    "it makes its samples of the first four pixels of each bin in memory, the next row's among them",
    ROIAlignLayer,
)
sized_by_data(0, ProposalLayer, ForkProposalLayer, NumberedProposalLayer)


def columns_of(g: LayerGraph, rows: str, count: int) -> list[str]:
    """The columns of rows, each with an axis of length 1 in their place."""
    return g.split(rows, 1, [1] * count)


def _with_ends(g: LayerGraph, boxes: str) -> str:
    """Boxes whose last pixels belong to them as boxes that end behind these: (R, 4)."""
    return g.op("Add", boxes, g.floats([[0.0, 0.0, 1.0, 1.0]]))


# --------------------------------------------------------------------------------------- proposals


def _anchor_boxes(
    g: LayerGraph, deltas: str, anchors: Array, stride: float, size: tuple[int, int], picture: tuple[str, str]
) -> list[str]:
    """The columns of the boxes around all anchors, (H W A, 1) each, clipped to the picture.

    deltas: of one image, (1, 4 A, H, W). size: H and W. picture: its height and width, () each.
    """
    (H, W), A = size, len(anchors)
    y, x = np.mgrid[:H, :W] * stride
    corners = (anchors + np.stack([x, y, x, y], axis=-1)[:, :, None]).astype(np.float32).reshape(-1, 4)
    sizes = corners[:, 2:] - corners[:, :2] + 1
    centres = corners[:, :2] + np.float32(0.5) * sizes
    moved = g.op("Transpose", g.reshape(deltas, (A, 4, H, W), (1, 4 * A, H, W)), perm=[2, 3, 0, 1])
    dx, dy, dw, dh = columns_of(g, g.reshape(moved, (H * W * A, 4), (H, W, A, 4)), 4)
    low: list[str] = []
    high: list[str] = []
    for axis, d, growth, length in ((0, dx, dw, picture[1]), (1, dy, dh, picture[0])):
        own, centre = g.floats(sizes[:, axis : axis + 1]), g.floats(centres[:, axis : axis + 1])
        middle = g.op("Add", g.op("Mul", d, own), centre)
        half = g.scaled(g.op("Mul", own, g.op("Exp", growth)), 0.5)
        last = g.op("Sub", length, g.floats(1.0))
        for ends, end in ((low, g.op("Sub", middle, half)), (high, g.op("Add", middle, half))):
            ends.append(g.op("Max", g.op("Min", end, last), g.floats(0.0)))
    return [*low, *high]


def is_large(g: LayerGraph, boxes: list[str], least: tuple[str, str]) -> str:
    """Whether both sides of boxes are as long as they must be, (count, 1).  least: of x and of y."""
    x0, y0, x1, y1 = boxes
    sides = [g.shifted(g.op("Sub", end, start), 1.0) for start, end in ((x0, x1), (y0, y1))]
    large = [g.op("Not", g.op("Less", side, own)) for side, own in zip(sides, least, strict=True)]
    return g.op("And", *large)


def best_boxes(
    g: LayerGraph, boxes: str, scores: str, count: int, *, first: int, threshold: float, most: int
) -> tuple[str, str]:
    """Of the `first` boxes with the highest scores those that stay, `most` of them, and their scores, (R, 1).

    boxes: (count, 4). scores: (count,); those with the lowest number do not count.
    """
    least = LOWEST
    if g.for_opencv:  # whose suppression takes scores above 0 only: these are probabilities, or 0
        scores, least = g.shifted(scores, _LITTLE), 0.0
    values, order = g.ops("TopK", scores, g.ints([min(first or count, count)]), results=2, axis=0)
    candidates = g.op("Gather", boxes, order, axis=0)
    found = suppressed(
        g,
        g.unsqueeze(_with_ends(g, candidates), [0]),
        g.unsqueeze(values, [0, 1]),
        threshold,
        most=most,
        least=least,
    )
    kept = g.squeeze(g.split(found, 1, [1, 1, 1])[2], [1])
    return g.op("Gather", candidates, kept, axis=0), g.unsqueeze(g.op("Gather", values, kept), [1])


def _object_scores(g: LayerGraph, x: str, A: int, size: tuple[int, int], order: list[int]) -> str:
    """The scores of objects, (count,), of one image's (1, 2 A, H, W), with its axes A, H, W in an order."""
    H, W = size
    own = g.reshape(g.split(x, 1, [A, A])[1], (A, H, W), (1, A, H, W))
    dims = (A, H, W)
    moved = g.op("Transpose", own, perm=order)
    return g.reshape(moved, (A * H * W,), tuple(dims[axis] for axis in order))


def _picture(g: LayerGraph, count: int) -> list[str]:
    """The first numbers of im_info, () each."""
    of = g.bottom_shapes[2]
    flat = g.reshape(g.bottoms[2], (count_of(of),), of)
    return [g.op("Gather", flat, g.ints(i)) for i in range(count)]


def _map_size(g: LayerGraph) -> tuple[int, int]:
    return int(g.bottom_shapes[0][2]), int(g.bottom_shapes[0][3])


def numbered(g: LayerGraph, boxes: str, n: int) -> str:
    """Regions: boxes with the number of their image in front, (R, 5)."""
    return g.pad(boxes, (0, 1), (0, 0), float(n))


@converts(ProposalLayer)
def python_proposal(g: LayerGraph, layer: PythonLayer) -> list[str]:
    """`Exp`, `Mul`, `Add`, `TopK`, `NonMaxSuppression` and `Gather`."""
    user = layer.user
    assert isinstance(user, ProposalLayer)
    config, A, size = user.config, len(user.anchors), _map_size(g)
    height, width, scale = _picture(g, 3)
    boxes = _anchor_boxes(g, g.bottoms[1], user.anchors, user.stride, size, (height, width))
    least = g.scaled(scale, config.RPN_MIN_SIZE)
    scores = _object_scores(g, g.x, A, size, [1, 2, 0])
    large = g.squeeze(is_large(g, boxes, (least, least)), [1])
    return _last_first(
        g, boxes, scores, large, A * size[0] * size[1],
        first=int(config.RPN_PRE_NMS_TOP_N), threshold=float(config.RPN_NMS_THRESH),
        most=int(config.RPN_POST_NMS_TOP_N) or 2**31 - 1,
    )  # fmt: skip


def _last_first(
    g: LayerGraph,
    boxes: list[str],
    scores: str,
    counts: str,
    count: int,
    *,
    first: int,
    threshold: float,
    most: int,
) -> list[str]:
    """The regions of one picture; of equal scores the last one comes first.  counts: which boxes count."""
    scores = g.op("Where", counts, scores, g.floats(LOWEST))
    turned = g.slice(scores, [-1], [-INT_MAX], [0], [-1])
    rows = g.slice(g.op("Concat", *boxes, axis=1), [-1], [-INT_MAX], [0], [-1])
    kept, values = best_boxes(g, rows, turned, count, first=first, threshold=threshold, most=most)
    return [numbered(g, kept, 0), values][: len(g.top_shapes)]


@converts(NumberedProposalLayer)
def numbered_proposal(g: LayerGraph, layer: NumberedProposalLayer) -> list[str]:
    """`Exp`, `Mul`, `Add`, `TopK`, `NonMaxSuppression` and `Gather`."""
    p, A, (H, W) = layer.param, len(layer.anchors), _map_size(g)
    height, width, scale = _picture(g, 3)
    boxes = _anchor_boxes(
        g, g.bottoms[1], layer.anchors, p.feat_stride, (H, W), (g.op("Floor", height), g.op("Floor", width))
    )
    # Anchor by anchor: of equal scores, the order decides.
    every: Shape = (H, W, A, 1)
    boxes = [
        g.reshape(
            g.op("Transpose", g.reshape(column, every, (H * W * A, 1)), perm=[2, 0, 1, 3]),
            (H * W * A, 1),
            (A, H, W, 1),
        )
        for column in boxes
    ]
    least = g.scaled(scale, p.rpn_min_size)
    large = g.squeeze(is_large(g, boxes, (least, least)), [1])
    is_last = np.arange(H * W * A) == H * W * A - 1  # the fork leaves the last one out of that
    large = g.op("Or", large, g.to_bool(g.floats(is_last)))
    scores = _object_scores(g, g.x, A, (H, W), [0, 1, 2])
    return _last_first(
        g, boxes, scores, large, A * H * W,
        first=p.pre_nms_topn, threshold=float(p.rpn_nms_thresh), most=p.max_rois,
    )  # fmt: skip


@converts(ForkProposalLayer)
def fork_proposal(g: LayerGraph, layer: ForkProposalLayer) -> list[str]:
    """`Exp`, `Mul`, `Add`, `TopK`, `NonMaxSuppression` and `Gather`, for each image; `Concat`."""
    p, A, size = layer.param, len(layer.anchors), _map_size(g)
    N, of_info = g.bottom_shapes[0][0], g.bottom_shapes[2]
    if not isinstance(N, int):
        raise g.refuse("it works image by image: give a batch size")
    height, width, *scale = _picture(g, min(int(count_of(of_info)), 4))
    least = (g.scaled(scale[-1], p.min_size), g.scaled(scale[0], p.min_size))
    scores, deltas = g.split(g.x, 0, [1] * N), g.split(g.bottoms[1], 0, [1] * N)
    found = []
    for n in range(N):
        boxes = _anchor_boxes(g, deltas[n], layer.anchors, p.feat_stride, size, (height, width))
        large = g.squeeze(g.to_float(is_large(g, boxes, least)), [1])
        own = g.op("Mul", _object_scores(g, scores[n], A, size, [1, 2, 0]), large)
        rows = g.op("Concat", *boxes, axis=1)
        kept, values = best_boxes(
            g, rows, own, A * size[0] * size[1],
            first=p.pre_nms_topn, threshold=float(p.nms_thresh), most=p.post_nms_topn,
        )  # fmt: skip
        found.append((numbered(g, kept, n), g.squeeze(values, [1])))
    regions, values = (
        g.op("Concat", *parts, axis=0) if N > 1 else parts[0] for parts in zip(*found, strict=True)
    )
    return [regions, values][: len(g.top_shapes)]


# ----------------------------------------------------------------------------------------- pooling


def region_columns(g: LayerGraph) -> list[str]:
    """Image, x1, y1, x2 and y2 of the regions in bottom 1, (R, 1) each."""
    of = g.bottom_shapes[1]
    return columns_of(g, g.reshape(g.bottoms[1], (of[0], 5), of), 5)


def _grown(g: LayerGraph, region: list[str], ratio: float) -> list[str]:
    """Corners with that part of their sides more at each end: x1, y1, x2, y2."""
    x1, y1, x2, y2 = region
    if not ratio:
        return region
    across, down = (g.scaled(g.shifted(g.op("Sub", b, a), 1.0), ratio) for a, b in ((x1, x2), (y1, y2)))
    return [g.op("Sub", x1, across), g.op("Sub", y1, down), g.op("Add", x2, across), g.op("Add", y2, down)]


@converts(ROIPoolingLayer)
def roi_pooling(g: LayerGraph, layer: ROIPoolingLayer) -> str:
    """`MaxRoiPool`, which rounds as Caffe's forks do."""
    p = layer.param
    if g.opset > _LAST_MAX_ROI_POOL:
        raise g.refuse(
            f"ONNX Runtime knows MaxRoiPool up to opset {_LAST_MAX_ROI_POOL}: give an older --opset"
        )
    if p.pad_ratio:
        image, *corners = region_columns(g)
        regions = g.op("Concat", image, *_grown(g, corners, p.pad_ratio), axis=1)
    else:
        of = g.bottom_shapes[1]
        regions = g.reshape(g.bottoms[1], (of[0], 5), of)
    return g.op(
        "MaxRoiPool", g.x, regions, pooled_shape=[p.pooled_h, p.pooled_w], spatial_scale=p.spatial_scale
    )


def _of_image(g: LayerGraph, image: str, weights: str) -> str:
    """Weights for the rows of a region's own image, 0 for those of the others: (R, P, N, H).

    image: the image's number, (R, 1). weights: (R, P, H).
    """
    N = g.bottom_shapes[0][0]
    if not isinstance(N, int):
        raise g.refuse("its regions name their images: give a batch size")
    own = g.to_float(g.op("Equal", g.to_int(image), g.ints(np.arange(N)[None])))  # (R, N)
    return g.op("Mul", g.unsqueeze(weights, [2]), g.unsqueeze(own, [1, 3]))


def _einsum(g: LayerGraph, equation: str, *inputs: str) -> str:
    if g.opset < 12:
        raise g.refuse("it takes Einsum, which ONNX has from opset 12 on")
    return g.op("Einsum", *inputs, equation=equation)


def _rounded(g: LayerGraph, x: str) -> str:
    """The nearest whole numbers, of two the one further from 0."""
    return g.op("Mul", g.op("Sign", x), g.op("Floor", g.shifted(g.op("Abs", x), 0.5)))


def _bin_weights(
    g: LayerGraph, start: str, end: str, parts: int, length: int, scale: float
) -> tuple[str, str]:
    """Which places of an axis lie in each part of a region's side: (R, parts, length), and their number.

    start, end: the side's ends in the picture, (R, 1).
    """
    first = g.scaled(_rounded(g, start), scale)
    behind = g.scaled(g.shifted(_rounded(g, end), 1.0), scale)
    size = g.op("Max", g.op("Sub", behind, first), g.floats(0.1))
    size = g.op("Div", size, g.floats(parts))
    edges = [
        g.op("Add", g.op("Mul", size, g.floats(np.arange(more, parts + more)[None])), first)
        for more in (0, 1)
    ]
    low, high = g.op("Floor", edges[0]), g.op("Ceil", edges[1])
    places = g.floats(np.arange(length).reshape(1, 1, -1))
    after = g.op("Not", g.op("Less", places, g.unsqueeze(low, [2])))
    inside = g.to_float(g.op("And", after, g.op("Less", places, g.unsqueeze(high, [2]))))
    return inside, g.reduce("Sum", inside, [2])


@converts(PSROIPoolingLayer)
def psroi_pooling(g: LayerGraph, layer: PSROIPoolingLayer) -> str:
    """`Floor`, `Ceil` and `Less` for the bins, two `Einsum` for their sums, `Div`."""
    p = layer.param
    N, _, H, W = g.bottom_shapes[0]
    G, C = p.group_size, p.output_dim
    image, x1, y1, x2, y2 = region_columns(g)
    rows, heights = _bin_weights(g, y1, y2, G, int(H), p.spatial_scale)
    columns, widths = _bin_weights(g, x1, x2, G, int(W), p.spatial_scale)
    x = g.reshape(g.x, (N, C, G, G, H, W))
    by_row = _einsum(g, "rpnh,ncpqhw->rcpqw", _of_image(g, image, rows), x)
    total = _einsum(g, "rcpqw,rqw->rcpq", by_row, columns)
    count = g.op("Mul", g.unsqueeze(heights, [2]), g.unsqueeze(widths, [1]))
    return g.op("Div", total, g.unsqueeze(g.op("Max", count, g.floats(1.0)), [1]))


def _corner_weights(g: LayerGraph, start: str, size: str, corners: int, length: int) -> str:
    """How much each place of an axis counts for each corner: (R, corners, length).  start, size: (R, 1)."""
    place = g.op("Add", start, g.op("Mul", size, g.floats(np.arange(corners)[None])))
    outside = g.op("Or", g.op("Less", place, g.floats(-0.5)), g.op("Greater", place, g.floats(length - 0.5)))
    near = _shares(g, _held(g, place, length), length)
    return g.op("Where", g.unsqueeze(outside, [2]), g.floats(0.0), near)


def _held(g: LayerGraph, place: str, length: int) -> str:
    """Places, moved to the nearest end of an axis where they are outside."""
    return g.op("Max", g.op("Min", place, g.floats(length - 1.0)), g.floats(0.0))


def _shares(g: LayerGraph, places: str, length: int) -> str:
    """How much each pixel of an axis counts for each place between two: (R, places, length)."""
    pixels = g.floats(np.arange(length).reshape(1, 1, -1))
    distance = g.op("Abs", g.op("Sub", g.unsqueeze(places, [2]), pixels))
    return g.op("Relu", g.op("Sub", g.floats(1.0), distance))


@converts(CornerROIAlignLayer)
def corner_roi_align(g: LayerGraph, layer: CornerROIAlignLayer) -> str:
    """Weights of pixels by `Abs`, `Sub` and `Relu`, and two `Einsum`."""
    scale, ratio = layer.grown
    _, _, H, W = g.bottom_shapes[0]
    P, Q = layer.bins
    image, *corners = region_columns(g)
    x1, y1, x2, y2 = (g.shifted(g.scaled(c, scale), -0.5) for c in _grown(g, corners, ratio))
    down = g.op("Div", g.op("Sub", y2, y1), g.floats(P))
    across = g.op("Div", g.op("Sub", x2, x1), g.floats(Q))
    rows = _corner_weights(g, y1, down, P + 1, int(H))
    columns = _corner_weights(g, x1, across, Q + 1, int(W))
    by_row = _einsum(g, "rpnh,nchw->rcpw", _of_image(g, image, rows), g.x)
    y = _einsum(g, "rcpw,rqw->rcpq", by_row, columns)
    zero = g.floats(0.0)
    has_size = g.op("And", g.op("Greater", down, zero), g.op("Greater", across, zero))
    return g.op("Where", g.unsqueeze(has_size, [2, 3]), y, zero)


@converts(ROIAlignmentLayer)
def roi_alignment(g: LayerGraph, layer: ROIAlignmentLayer) -> str:
    """Weights of pixels by `Abs`, `Sub` and `Relu`, and two `Einsum`."""
    _, _, H, W = g.bottom_shapes[0]
    image, x1, y1, x2, y2 = region_columns(g)
    scale = float(layer.param.spatial_scale)
    rows, columns = (
        _centre_weights(g, g.scaled(first, scale), g.scaled(last, scale), parts, int(length))
        for first, last, parts, length in zip((y1, x1), (y2, x2), layer.bins, (H, W), strict=True)
    )
    by_row = _einsum(g, "rpnh,nchw->rcpw", _of_image(g, image, rows), g.x)
    return _einsum(g, "rcpw,rqw->rcpq", by_row, columns)


def _centre_weights(g: LayerGraph, start: str, end: str, parts: int, length: int) -> str:
    """How much each pixel counts for the centre of each part of a side, (R, parts, length).

    start, end: of the side, (R, 1).
    """
    size = g.scaled(g.op("Max", g.shifted(g.op("Sub", end, start), 1.0), g.floats(1.0)), 1 / parts)
    low, high = (
        _held(g, g.op("Add", g.op("Mul", size, g.floats(np.arange(parts)[None] + more)), start), length)
        for more in (0, 1)
    )
    return _shares(g, g.scaled(g.op("Add", low, high), 0.5), length)
