"""The boxes of Cascade R-CNN: offsets with means and deviations, proposals of fields, detections."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.export.onnx.detection import suppressed
from pycaffe_lite.export.onnx.graph import count_of
from pycaffe_lite.export.onnx.layer_graph import LOWEST, LayerGraph
from pycaffe_lite.export.onnx.regions import best_boxes, columns_of, is_large, numbered, region_columns
from pycaffe_lite.export.onnx.registry import converts
from pycaffe_lite.export.onnx.shapes import sized_by_data
from pycaffe_lite.layer.detection.box_code import BoxCode
from pycaffe_lite.layer.detection.box_group_output import BoxGroupOutputLayer
from pycaffe_lite.layer.detection.decode_bbox import DecodeBBoxLayer
from pycaffe_lite.layer.detection.frcnn_output import FrcnnOutputLayer
from pycaffe_lite.layer.detection.region_routing import ScaleRouteLayer
from pycaffe_lite.proto import caffe_pb2

sized_by_data(0, ScaleRouteLayer, FrcnnOutputLayer, BoxGroupOutputLayer)


def _denormalised(g: LayerGraph, offsets: str, code: BoxCode, rank: int) -> str:
    shape = (*(1,) * (rank - 1), 4)
    scaled = g.op("Mul", offsets, g.floats(code.stds.reshape(shape)))
    return g.op("Add", scaled, g.floats(code.means.reshape(shape)))


def _moved(g: LayerGraph, regions: list[str], offsets: list[str]) -> list[str]:
    """The columns of the boxes that offsets mean; see `layer.detection.box_code.decoded`."""
    low, high = [], []
    for k in (0, 1):
        start, end = regions[k], regions[k + 2]
        size = g.shifted(g.op("Sub", end, start), 1.0)
        centre = g.op("Add", g.scaled(g.op("Add", end, start), 0.5), g.op("Mul", offsets[k], size))
        size = g.op("Mul", size, g.op("Exp", offsets[k + 2]))
        first = g.op("Sub", centre, g.scaled(g.shifted(size, -1.0), 0.5))
        low.append(first)
        high.append(g.shifted(g.op("Add", first, size), -1.0))
    return [*low, *high]


@converts(DecodeBBoxLayer)
def decode_bbox(g: LayerGraph, layer: DecodeBBoxLayer) -> str:
    """`Mul`, `Exp` and `Add`."""
    if layer.phase == caffe_pb2.TRAIN:
        raise g.refuse("in TRAIN it drops boxes; export the net's TEST phase")
    of = g.bottom_shapes[0]
    offsets = g.reshape(g.x, (of[0], 8), of)
    own = _denormalised(g, g.split(offsets, 1, [4, 4])[1], layer.code, 2)
    image, *corners = region_columns(g)
    rows = g.op("Concat", image, *_moved(g, corners, columns_of(g, own, 4)), axis=1)
    return g.reshape(rows, g.top_shapes[0], (of[0], 5))


@converts(ScaleRouteLayer)
def scale_route(g: LayerGraph, layer: ScaleRouteLayer) -> list[str]:
    """`Sqrt` of the areas, `Less`, `Or` with the nearest one where there is none, and `Compress`."""
    of = g.bottom_shapes[0]
    regions = g.reshape(g.x, (of[0], 5), of)
    _, x1, y1, x2, y2 = columns_of(g, regions, 5)
    zero = g.floats(0.0)
    across, down = g.op("Sub", x2, x1), g.op("Sub", y2, y1)
    wrong = g.op("Or", g.op("Less", across, zero), g.op("Less", down, zero))
    area = g.op("Mul", g.shifted(across, 1.0), g.shifted(down, 1.0))
    scale = g.squeeze(g.op("Sqrt", g.op("Where", wrong, zero, area)), [1])
    kept = g.op("Not", g.op("Less", scale, g.floats(layer.low)))
    if np.isfinite(layer.high):
        kept = g.op("And", kept, g.op("Less", scale, g.floats(layer.high)))
    distance = g.op("Abs", g.op("Log", g.scaled(scale, 1 / layer.middle)))
    nearest = g.op("ArgMin", distance, axis=0, keepdims=1)
    rows = g.op("Range", g.ints(0), g.op("Gather", g.op("Shape", scale), g.ints(0)), g.ints(1))
    is_any = g.op("Greater", g.reduce("Sum", g.to_float(kept), [0], keep=True), g.floats(0.5))
    fallback = g.op("And", g.op("Not", is_any), g.op("Equal", rows, nearest))
    kept = g.op("Or", kept, fallback)
    results = []
    for x, shape, top in zip(g.bottoms, g.bottom_shapes, g.top_shapes, strict=True):
        values = g.op("Compress", x, kept, axis=0)
        results.append(g.reshape(values, top, (top[0], *shape[1:])))
    return results


@converts(FrcnnOutputLayer)
def frcnn_output(g: LayerGraph, layer: FrcnnOutputLayer) -> str:
    """`Exp`, `Mul` and `Add`, `NonMaxSuppression`, `GatherND` and `TopK`."""
    p, C = layer.param, layer.C
    if p.nms_type != "IOU":
        raise g.refuse(f"NonMaxSuppression knows IOU, not nms_type {p.nms_type}")
    R = g.bottom_shapes[0][0]
    of = g.bottom_shapes[2]
    width = int(count_of(of[1:]))
    columns = columns_of(g, g.reshape(g.bottoms[2], (R, width), of), width)[1:5]
    groups = C if layer.code.cls_aware else 2
    offsets = g.reshape(g.bottoms[1], (R, groups, 4), g.bottom_shapes[1])
    offsets = g.op("Transpose", _denormalised(g, offsets, layer.code, 3), perm=[1, 0, 2])  # (groups, R, 4)
    picked = list(range(1, C)) if layer.code.cls_aware else [1]
    own = g.split(g.op("Gather", offsets, g.ints(picked), axis=0), 2, [1] * 4)
    regions = [g.unsqueeze(column, [0]) for column in columns]
    x1, y1, x2, y2 = _moved(g, regions, own)
    sides = g.reshape(g.bottoms[3], (2,), g.bottom_shapes[3])
    high, wide = (g.op("Gather", sides, g.ints(i)) for i in (0, 1))
    zero = g.floats(0.0)
    low = [g.op("Max", x, zero) for x in (x1, y1)]
    ends = [g.op("Min", x2, wide), g.op("Min", y2, high)]
    boxes = g.op("Concat", *low, *ends, axis=2)  # (groups, R, 4)
    if len(picked) == 1 and C > 2:
        boxes = g.op("Tile", boxes, g.ints([C - 1, 1, 1]))
    scores = g.op("Transpose", g.reshape(g.x, (R, C), g.bottom_shapes[0]), perm=[1, 0])
    scores = g.unsqueeze(g.op("Gather", scores, g.ints(list(range(1, C))), axis=0), [1])  # (C - 1, 1, R)
    least = float(np.nextafter(np.float32(p.conf_thr), np.float32(-np.inf)))
    as_ends = g.op("Add", boxes, g.floats([[[0.0, 0.0, 1.0, 1.0]]]))
    found = suppressed(g, as_ends, scores, p.iou_thr, most=2**31 - 1, least=least)
    label, _, box = g.split(found, 1, [1, 1, 1])
    corners = g.op("GatherND", boxes, g.op("Concat", label, box, axis=1))
    score = g.unsqueeze(g.op("GatherND", scores, found), [1])
    label = g.shifted(g.to_float(label), 1.0)
    rows = g.op("Concat", g.scaled(label, 0.0), corners, label, score, axis=1)
    if p.max_det_num > 0:
        rows = _best_rows(g, rows, score, p.max_det_num)
    rows = g.op("Concat", g.floats([[0.0] + [-1.0] * 6]), rows, axis=0)
    return g.unsqueeze(rows, [2, 3])


def _best_rows(g: LayerGraph, rows: str, score: str, most: int) -> str:
    """The rows with the highest scores, in their order."""
    count = g.op("Gather", g.op("Shape", rows), g.ints([0]))
    order = g.ops("TopK", g.squeeze(score, [1]), g.op("Min", count, g.ints([most])), results=2, axis=0)[1]
    # Places in ascending order: the smallest first.
    size = g.op("Shape", order)
    places = g.ops("TopK", order, size, results=2, axis=0, largest=0)[0]
    return g.op("Gather", rows, places, axis=0)


@converts(BoxGroupOutputLayer)
def box_group_output(g: LayerGraph, layer: BoxGroupOutputLayer) -> list[str]:
    """`Clip`, `Exp`, `Mul` and `Add`, `TopK`, `NonMaxSuppression` and `Gather`, for each image."""
    p = layer.param
    if p.nms_type != "IOU":
        raise g.refuse(f"NonMaxSuppression knows IOU, not nms_type {p.nms_type}")
    groups = [_group(g, layer, k) for k in range(len(layer.fields))]
    boxes, scores = (g.op("Concat", *parts, axis=1) for parts in zip(*groups, strict=True))
    own_boxes, own_scores = g.split(boxes, 0, [1] * layer.N), g.split(scores, 0, [1] * layer.N)
    found = [_best_of_image(g, layer, n, own_boxes[n], own_scores[n]) for n in range(layer.N)]
    rows = g.op("Concat", *found, axis=0)  # (M, 6)
    count = g.op("Shape", rows)
    is_empty = g.op("Equal", g.op("Gather", count, g.ints([0])), g.ints([0]))
    regions = g.split(rows, 1, [5, 1])[0]
    results = []
    for values, instead in ((regions, [[0.0, 1, 1, 10, 10]]), (rows, [[0.0] * 6])):
        extra = g.op("Compress", g.floats(instead), is_empty, axis=0)
        results.append(g.unsqueeze(g.op("Concat", values, extra, axis=0), [2, 3]))
    return results[: len(g.top_shapes)]


def _group(g: LayerGraph, layer: BoxGroupOutputLayer, k: int) -> tuple[str, str]:
    """The clipped boxes of a pair of bottoms, (N, count, 4), and their scores, (N, count)."""
    fields, N = layer.fields[k], layer.N
    scores, offsets = g.bottoms[2 * k : 2 * k + 2]
    _, C, h, w = (int(n) for n in g.bottom_shapes[2 * k])
    kinds, count = fields.kinds, fields.kinds * h * w
    t = g.op("Transpose", offsets, perm=[0, 2, 3, 1])
    bound = layer.bound.reshape(1, 1, 1, 4)
    t = g.op("Max", g.op("Min", _denormalised(g, t, layer.code, 4), g.floats(bound)), g.floats(-bound))
    cells = g.reshape(t, (N, kinds, h, w, 4), (N * kinds, h, w, 4))
    moves, growth = g.split(cells, 4, [2, 2])
    sizes = g.floats(fields.sizes.reshape(1, kinds, 1, 1, 2))
    rows, columns = np.mgrid[:h, :w]
    centres = (np.stack([columns, rows], axis=-1) + 0.5) * fields.stride
    size = g.op("Mul", sizes, g.op("Exp", growth))
    centre = g.op("Add", g.op("Mul", moves, sizes), g.floats(centres[None, None]))
    low = g.op("Sub", centre, g.scaled(size, 0.5))
    high = g.shifted(g.op("Add", low, size), -1.0)
    last = g.floats(np.array([w, h]).reshape(1, 1, 1, 1, 2) * fields.stride)
    boxes = g.op("Concat", g.op("Max", low, g.floats(0.0)), g.op("Min", high, last), axis=4)
    boxes = g.reshape(boxes, (N, count, 4), (N, kinds, h, w, 4))
    background = g.split(scores, 1, [1, C - 1])[0]
    own = g.op("Sub", g.floats(1.0), background)
    return boxes, g.reshape(own, (N, count), (N * kinds, 1, h, w))


def _best_of_image(g: LayerGraph, layer: BoxGroupOutputLayer, n: int, boxes: str, scores: str) -> str:
    """The rows of an image: its number, box and score, (M, 6).  boxes: (1, count, 4). scores: (1, count)."""
    p = layer.param
    boxes, scores = g.squeeze(boxes, [0]), g.squeeze(scores, [0])
    least = g.floats(p.min_size)
    large = g.squeeze(is_large(g, columns_of(g, boxes, 4), (least, least)), [1])
    counts = g.op("And", g.op("Not", g.op("Less", scores, g.floats(p.fg_thr))), large)
    scores = g.op("Where", counts, scores, g.floats(LOWEST))
    count = sum(
        f.kinds * int(s[2]) * int(s[3]) for f, s in zip(layer.fields, g.bottom_shapes[::2], strict=True)
    )
    kept, values = best_boxes(
        g, boxes, scores, count,
        first=p.max_nms_num, threshold=float(p.iou_thr), most=p.max_post_nms_num or 2**31 - 1,
    )  # fmt: skip
    return g.op("Concat", numbered(g, kept, n), values, axis=1)
