"""Labels of anchors on grids, by the boxes that they overlap, for Cascade R-CNN.

Source: zhaoweicai/cascade-rcnn src/caffe/layers/detection_data_layer.cpp
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.proto import caffe_pb2

Floats = npt.NDArray[np.float32]
_CHANNELS = 6  # label, the box's middle, x and y, its width and height, the overlap


class Sight(NamedTuple):
    """Where the picture is in an item: its first row and column, its rows and columns."""

    top: int
    left: int
    height: int
    width: int


def overlaps(boxes: Floats, others: Floats, of_first: bool) -> Floats:
    """How much boxes overlap, (B, G): the common area of the union, or of each first box.

    Boxes are x2 - x1 + 1 wide. Boxes that have no height in common but one line overlap none.
    """
    a, b = boxes[:, None], others[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    common = (high[..., 0] - low[..., 0] + 1) * (high[..., 1] - low[..., 1] + 1)
    common = np.where((low[..., 0] > high[..., 0]) | (low[..., 1] >= high[..., 1]), np.float32(0), common)
    first, second = ((x[..., 2] - x[..., 0] + 1) * (x[..., 3] - x[..., 1] + 1) for x in (a, b))
    whole = np.broadcast_to(first, common.shape) if of_first else first + second - common
    found: Floats = np.where(whole > 0, common / np.where(whole > 0, whole, 1), 0).astype(np.float32)
    for x, axis in ((boxes, 0), (others, 1)):
        wrong = (x[:, 2] < x[:, 0]) | (x[:, 3] < x[:, 1])
        found[(wrong, slice(None)) if axis == 0 else (slice(None), wrong)] = 0
    return found


def grid_size(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of the labels of an item of a size."""
    return _round(size[0] / stride), _round(size[1] / stride)


def anchor_labels(
    param: caffe_pb2.DetectionDataParameter,
    size: tuple[int, int],
    sight: Sight,
    boxes: Floats,
    about: npt.NDArray[np.int64],
    ignored: Floats,
) -> list[Floats]:
    """The label maps of an item, (6, rows, columns) for each stride.

    An anchor that overlaps a box by more than fg_threshold gets its label, or 0 if the box is ignored, its
    place and size, and the overlap. Others have label 0 and their largest overlap, but 1 where they lie
    outside of the picture or in ignored regions, so that they do not count as background. A box that no
    anchor has been matched with gets the cell of its middle, in the map of the anchor that fits best.

    Args:
        param: of the layer. size: height and width of the item. sight: where the picture is in it.
        boxes: (n, 4). about: (n, 3): label, whether it is ignored, and whether it is difficult.
        ignored: (m, 4), regions.
    """
    maps: list[Floats] = []
    counts = np.zeros(len(boxes), np.int64)
    best, best_map = np.zeros(len(boxes), np.float32), np.zeros(len(boxes), np.int64)
    for nn, (stride, field_h, field_w) in enumerate(
        zip(param.stride, param.field_h, param.field_w, strict=True)
    ):
        rows, columns = grid_size(size, stride)
        labels = np.zeros((_CHANNELS, rows, columns), np.float32)
        labels[5] = 1
        maps.append(labels)
        valid, anchors = _anchors(param, (rows, columns), stride, (field_h, field_w), sight)
        if not len(anchors):
            continue
        shared = overlaps(boxes, anchors, False).T
        values = np.zeros((_CHANNELS, len(anchors)), np.float32)
        matched, most = np.zeros(len(anchors), np.int64), np.zeros(len(anchors), np.float32)
        if len(boxes):
            matched = shared.argmax(axis=1)
            most = shared.max(axis=1)
            by_box = shared.max(axis=0)
            better = by_box > best
            best[better], best_map[better] = by_box[better], nn
        in_regions = overlaps(anchors, ignored, True).sum(axis=1, dtype=np.float32)
        values[5] = np.where(in_regions >= np.float32(param.ignore_fg_threshold), 1, most)
        hit = most > np.float32(param.fg_threshold)
        if hit.any():
            chosen = matched[hit]
            values[:, hit] = _described(boxes[chosen], about[chosen], most[hit])
            counts += np.bincount(chosen, minlength=len(boxes))
        labels[:, valid] = values
    for i in np.flatnonzero((about[:, 1] == 0) & (counts == 0)) if maps else ():
        if best[i] >= np.float32(param.pickup_iou_thr):
            _pick_up(maps[best_map[i]], param.stride[best_map[i]], boxes[i], about[i], best[i])
    return maps


def _anchors(
    param: caffe_pb2.DetectionDataParameter,
    grid: tuple[int, int],
    stride: int,
    field: tuple[int, int],
    sight: Sight,
) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Which cells have an anchor that counts, and these anchors, (n, 4)."""
    half_h, half_w = np.float32(field[0]) / 2, np.float32(field[1]) / 2
    y = ((np.arange(grid[0]) + 0.5) * stride).astype(np.float32)[:, None]
    x = ((np.arange(grid[1]) + 0.5) * stride).astype(np.float32)[None]
    corners = np.stack(np.broadcast_arrays(x - half_w, y - half_h, x + half_w, y + half_h), axis=-1)
    first = _round(sight.top / stride), _round(sight.left / stride)
    count = _round(sight.height / stride), _round(sight.width / stride)
    valid = np.zeros(grid, np.bool_)
    valid[first[0] : first[0] + count[0], first[1] : first[1] + count[1]] = True
    top, left = sight.top, sight.left
    bottom, right = top + sight.height, left + sight.width
    if param.HasField("anchor_ignore_margin_ratio"):
        ratio = np.float32(param.anchor_ignore_margin_ratio)
        across, along = ratio * half_w, ratio * half_h
        valid &= (corners[..., 0] >= left - across) & (corners[..., 2] < right + across)
        valid &= (corners[..., 1] >= top - along) & (corners[..., 3] < bottom + along)
    elif param.HasField("anchor_ignore_iou_thr"):
        picture = np.array([[left, top, right, bottom]], np.float32)
        inside = overlaps(corners.reshape(-1, 4).astype(np.float32), picture, True).reshape(grid)
        valid &= inside >= np.float32(param.anchor_ignore_iou_thr)
    return valid, np.ascontiguousarray(corners[valid], np.float32)


def _described(boxes: Floats, about: npt.NDArray[np.int64], overlap: Floats) -> Floats:
    """What labels say of boxes, (6, n)."""
    label = np.where(about[:, 1] == 0, about[:, 0], 0)
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    w, h = boxes[:, 2] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 1] + 1
    return np.stack([label, x, y, w, h, overlap]).astype(np.float32)


def _pick_up(labels: Floats, stride: int, box: Floats, about: npt.NDArray[np.int64], overlap: float) -> None:
    """Gives a box the cell of its middle, unless that has a label."""
    described = _described(box[None], about[None], np.array([overlap], np.float32))[:, 0]
    row = min(max(math.floor(described[2] / stride), 0), labels.shape[1] - 1)
    column = min(max(math.floor(described[1] / stride), 0), labels.shape[2] - 1)
    if labels[0, row, column] <= 0:
        labels[:, row, column] = described


def _round(x: float) -> int:
    """Halves go up."""
    return math.floor(x + 0.5)
