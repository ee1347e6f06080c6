"""YOLO's heads: the errors of their predictions, and the boxes that these mean.

A head is (N, A L, H, W), for A anchors with L = 5 + C planes each: x, y, w, h, objectness and C classes.
Ground truth is (N, T, 5): class, x, y, w, h. Boxes are tuples of centre and size, (x, y, w, h), in parts of
the picture.

`*_cells` lay down the errors of all cells as if none held an object, image by image; `*_objects` then those
of the cells that do, one object after another, since two may fall on one cell.

Source: eric612/MobileNet-YOLO src/caffe/layers/region_loss_layer.cpp, yolov3_layer.cpp,
yolov3_detection_output_layer.cpp
"""

import math
from typing import Any

import numpy as np
from numba import prange

from pycaffe_lite.kernels.agreement import DIOU, IOU, MSE, agreement, agreement_gradient, overlap
from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel, serial_kernel

BOX, OBJECT, CLASSES = 0, 4, 5  # planes of an anchor
FOCAL_ALPHA, LEAST = 0.5, 1e-15  # of the focal loss: its factor, and what is added to a probability

# --------------------------------------------------------------------------------------------- boxes


@kernel
def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + math.exp(-x))


@kernel
def _box(head: Array, n: int, plane: int, j: int, i: int, anchor: Array) -> Any:
    """The box of a cell.  head: as it is.  anchor: (2,), in cells."""
    H, W = head.shape[2], head.shape[3]
    return (
        (i + sigmoid(head[n, plane, j, i])) / W,
        (j + sigmoid(head[n, plane + 1, j, i])) / H,
        math.exp(head[n, plane + 2, j, i]) * anchor[0] / W,
        math.exp(head[n, plane + 3, j, i]) * anchor[1] / H,
    )


@kernel
def _object(truth: Array, n: int, t: int) -> Any:
    """A box of the ground truth."""
    return float(truth[n, t, 1]), float(truth[n, t, 2]), float(truth[n, t, 3]), float(truth[n, t, 4])


@kernel
def _best(box: Any, truth: Array, n: int, measure: int) -> float:
    """The best agreement of a box with an image's ground truth, which ends before an x of 0; 0 at least."""
    best = 0.0
    for t in range(truth.shape[1]):
        if truth[n, t, 1] == 0:
            break
        best = max(best, agreement(box, _object(truth, n, t), measure))
    return best


@kernel
def _of_size(w: float, h: float) -> Any:
    """A box around the origin."""
    return 0.0, 0.0, w, h


@serial_kernel
def wrong_object(truth: Array, classes: int) -> Any:
    """The image and row of an object whose class or centre is out of range; -1, -1 if there is none."""
    for n in range(truth.shape[0]):
        for t in range(truth.shape[1]):
            label, x, y = truth[n, t, 0], truth[n, t, 1], truth[n, t, 2]
            if truth[n, t, 3] == 0:
                break
            if not (0 <= label < classes and 0 <= x < 1 and 0 <= y < 1):
                return n, t
    return -1, -1


# ------------------------------------------------------------------------------- YOLO 2: RegionLoss


@parallel_kernel
def region_cells(
    head: Array, truth: Array, anchors: Array, noobject: float, thresh: float, diff: Array
) -> None:
    """Diff of the objectness = noobject σ σ (1 - σ), or 0 where the best overlap is above thresh; else 0.

    head, diff: (N, A L, H, W). truth: (N, T, 5). anchors: (A, 2), in cells.
    """
    N, planes, H, W = head.shape
    A = len(anchors)
    for n in prange(N):
        diff[n] = 0
        for a in range(A):
            plane = a * (planes // A)
            for j in range(H):
                for i in range(W):
                    s = sigmoid(head[n, plane + OBJECT, j, i])
                    if not _best(_box(head, n, plane, j, i, anchors[a]), truth, n, IOU) > thresh:
                        diff[n, plane + OBJECT, j, i] = noobject * s * (s * (1 - s))


@serial_kernel
def region_objects(
    head: Array, truth: Array, anchors: Array, scales: Array, rescore: bool, by_anchor: bool, diff: Array
) -> None:
    """The diffs of the cells that hold objects, each with the anchor whose size overlaps it most.

    scales: of coordinates, objectness and classes. rescore: whether the objectness shall be the overlap, not
    1. by_anchor: whether anchors are compared, not the sizes predicted. An object that no size overlaps goes
    to the very first cell, as in the fork. The rest is as in `region_cells`.
    """
    N, planes, H, W = head.shape
    A = len(anchors)
    L = planes // A
    for n in range(N):
        for t in range(truth.shape[1]):
            if truth[n, t, 3] == 0:
                break
            box = _object(truth, n, t)
            i, j = int(box[0] * W), int(box[1] * H)
            best, image, anchor, row, column = 0.0, 0, 0, 0, 0
            for a in range(A):
                own = _box(head, n, a * L, j, i, anchors[a])
                w, h = (anchors[a, 0] / W, anchors[a, 1] / H) if by_anchor else (own[2], own[3])
                o = overlap(_of_size(w, h), _of_size(box[2], box[3]))
                if o > best:
                    best, image, anchor, row, column = o, n, a, j, i
            plane = anchor * L
            scale = scales[0] if rescore else scales[0] * (2 - box[2] * box[3])
            for k in range(2):
                s = sigmoid(head[image, plane + k, row, column])
                target = box[0] * W - i if k == 0 else box[1] * H - j
                diff[image, plane + k, row, column] = -scale * (target - s) * s * (1 - s)
            for k in range(2):
                target = math.log(box[2 + k] * (W if k == 0 else H) / anchors[anchor, k])
                raw = head[image, plane + 2 + k, row, column]
                diff[image, plane + 2 + k, row, column] = -scale * (target - raw)
            own_box = _box_at(head, image, plane, row, column, j, i, anchors[anchor])
            s = sigmoid(head[image, plane + OBJECT, row, column])
            wanted = overlap(own_box, box) if rescore else 1.0
            diff[image, plane + OBJECT, row, column] = -scales[1] * (wanted - s) * s * (1 - s)
            _region_classes(
                head[image, plane + CLASSES : plane + L, row, column],
                int(truth[n, t, 0]),
                scales[2],
                diff[image, plane + CLASSES : plane + L, row, column],
            )


@kernel
def _box_at(head: Array, n: int, plane: int, row: int, column: int, j: int, i: int, anchor: Array) -> Any:
    """The box that one cell's values would mean in the cell (j, i)."""
    box = _box(head, n, plane, row, column, anchor)
    return box[0] + (i - column) / head.shape[3], box[1] + (j - row) / head.shape[2], box[2], box[3]


@kernel
def _region_classes(x: Array, label: int, scale: float, diff: Array) -> None:
    """Diff = -scale (onehot - softmax(x)).  x, diff: (C,)."""
    largest, total = -np.inf, 0.0
    for c in range(len(x)):
        largest = max(largest, float(x[c]))
    for c in range(len(x)):
        total += math.exp(x[c] - largest)
    for c in range(len(x)):
        diff[c] = -scale * ((1.0 if c == label else 0.0) - math.exp(x[c] - largest) / total)


# ------------------------------------------------------------------------------------ YOLO 3: Yolov3


@parallel_kernel
def yolov3_cells(
    head: Array, truth: Array, anchors: Array, mask: Array, thresh: float, measure: int, diff: Array
) -> None:
    """Diff of the objectness = σ, or 0 where the best agreement is above thresh; else 0.

    head, diff: (N, A L, H, W). truth: (N, T, 5). anchors: (B, 2), in cells. mask: (A,), which are the head's.
    """
    N, planes, H, W = head.shape
    A = len(mask)
    for n in prange(N):
        diff[n] = 0
        for a in range(A):
            plane = a * (planes // A)
            for j in range(H):
                for i in range(W):
                    box = _box(head, n, plane, j, i, anchors[mask[a]])
                    if not _best(box, truth, n, measure) > thresh:
                        diff[n, plane + OBJECT, j, i] = sigmoid(head[n, plane + OBJECT, j, i])


@serial_kernel
def yolov3_objects(
    head: Array, truth: Array, anchors: Array, mask: Array, measure: int, size_thresh: float, scales: Array,
    smooth: float, focal: bool, most: float, accumulate: bool, diff: Array, found: Array,
) -> None:  # fmt: skip
    """The diffs of the cells that hold objects.

    An object goes to the anchor whose size agrees with it best, of all B, if that is one of the head's; and
    then to each of the head's anchors whose size agrees with it by more than size_thresh, but for the anchor
    whose number is the place of the first one in the mask: that is the fork's slip, by which the first one
    may come twice.

    size_thresh: from 1 on no further anchor gets an object. scales: (4,), of coordinates, objectness and
    classes, and of the boxes' gradients by another measure than MSE. smooth: of the labels: y (1 - smooth) +
    smooth / 2. most, accumulate: of those gradients, their bound, and whether they are added to what there
    is. found: (2,), how many cells were given an object, and the sum of 1 - agreement over these. The rest is
    as in `yolov3_cells`.
    """
    H, W = head.shape[2], head.shape[3]
    found[:] = 0
    for n in range(head.shape[0]):
        for t in range(truth.shape[1]):
            if truth[n, t, 3] == 0:
                break
            box, label = _object(truth, n, t), int(truth[n, t, 0])
            size = _of_size(box[2], box[3])
            best, best_anchor = 0.0, -1
            for b in range(len(anchors)):
                o = agreement(_of_size(anchors[b, 0] / W, anchors[b, 1] / H), size, measure)
                if o > best:
                    best, best_anchor = o, b
            first = _place_in(mask, best_anchor)
            if first >= 0:
                _yolov3_object(
                    head, n, first, box, label, anchors[best_anchor], len(mask), measure, scales, smooth,
                    focal, most, accumulate, diff, found,
                )  # fmt: skip
            passed_over = first if first >= 0 else best_anchor
            for b in range(len(anchors)):
                place = _place_in(mask, b)
                if size_thresh >= 1 or place < 0 or b == passed_over:
                    continue
                own = _of_size(anchors[b, 0] / W, anchors[b, 1] / H)
                if agreement(own, size, measure) > size_thresh:
                    _yolov3_object(
                        head, n, place, box, label, anchors[b], len(mask), measure, scales, smooth, focal,
                        most, accumulate, diff, found,
                    )  # fmt: skip


@kernel
def _yolov3_object(
    head: Array, n: int, place: int, box: Any, label: int, anchor: Array, A: int, measure: int, scales: Array,
    smooth: float, focal: bool, most: float, accumulate: bool, diff: Array, found: Array,
) -> None:  # fmt: skip
    """Give an object to one anchor of its cell."""
    L = head.shape[1] // A
    plane, i, j = place * L, int(box[0] * head.shape[3]), int(box[1] * head.shape[2])
    scale = scales[0] * (2 - box[2] * box[3])
    found[0] += 1
    found[1] += 1 - _yolov3_box(
        head, n, plane, j, i, anchor, box, scale, measure, scales[3], most, accumulate, diff
    )
    diff[n, plane + OBJECT, j, i] = -scales[1] * (1 - sigmoid(head[n, plane + OBJECT, j, i]))
    classes = slice(plane + CLASSES, plane + L)
    _yolov3_classes(head[n, classes, j, i], label, scales[2], smooth, focal, diff[n, classes, j, i])


@kernel
def _place_in(mask: Array, anchor: int) -> int:
    """Where an anchor stands in the mask; -1: nowhere."""
    for place in range(len(mask)):
        if mask[place] == anchor:
            return place
    return -1


@kernel
def _yolov3_box(
    head: Array, n: int, plane: int, j: int, i: int, anchor: Array, truth: Any, scale: float, measure: int,
    normalizer: float, most: float, accumulate: bool, diff: Array,
) -> Any:  # fmt: skip
    """The diffs of a cell's box; its agreement with the ground truth."""
    H, W = head.shape[2], head.shape[3]
    box = _box(head, n, plane, j, i, anchor)
    if measure == MSE:
        targets = (
            truth[0] * W - i - sigmoid(head[n, plane, j, i]),
            truth[1] * H - j - sigmoid(head[n, plane + 1, j, i]),
            math.log(truth[2] * W / anchor[0]) - head[n, plane + 2, j, i],
            math.log(truth[3] * H / anchor[1]) - head[n, plane + 3, j, i],
        )
        for k in range(4):
            diff[n, plane + k, j, i] = -scale * targets[k]
        return overlap(box, truth)
    # Agreement is reported as DIOU where the measure is IOU: so does the fork.
    reported = agreement(box, truth, DIOU if measure == IOU else measure)
    box = (box[0], box[1], 1.0 if box[2] == 0 else box[2], 1.0 if box[3] == 0 else box[3])
    dx, dy, dw, dh = agreement_gradient(box, truth, measure)
    gradient = (dx, dy, dw * math.exp(head[n, plane + 2, j, i]), dh * math.exp(head[n, plane + 3, j, i]))
    for k in range(4):
        g = normalizer * gradient[k]
        g = min(max(g, -most), most) if math.isfinite(g) else 0.0
        before = diff[n, plane + k, j, i] if accumulate else 0.0
        diff[n, plane + k, j, i] = before - g
    return reported


@kernel
def _yolov3_classes(x: Array, label: int, scale: float, smooth: float, focal: bool, diff: Array) -> None:
    """Diff = -scale (y - p), p = σ(x), for all classes, or for the label alone if that has one already.

    The focal loss has labels that are not smoothed, and a factor more.
    """
    only_label = diff[label] != 0
    p = sigmoid(x[label]) + LEAST
    factor = FOCAL_ALPHA * -(1 - p) * (2 * p * math.log(p) + p - 1)
    for c in range(len(x)):
        if only_label and c != label:
            continue
        is_label = 1.0 if c == label else 0.0
        error = is_label * (1 - smooth) + smooth / 2 - sigmoid(x[c])
        if focal and not only_label:
            diff[c] = -scale * (is_label - sigmoid(x[c])) * factor
        elif math.isfinite(error):
            diff[c] = -scale * error


@serial_kernel
def sum_of_squares(diff: Array, anchors: int, first: int) -> float:
    """Σ diff², over each anchor's planes from `first` on, in float64.  diff: (N, A L, H, W)."""
    total, L = 0.0, diff.shape[1] // anchors
    for n in range(diff.shape[0]):
        for plane in range(diff.shape[1]):
            if plane % L >= first:
                for j in range(diff.shape[2]):
                    for i in range(diff.shape[3]):
                        total += float(diff[n, plane, j, i]) ** 2
    return total


@parallel_kernel
def yolov3_backward(
    head: Array, diff: Array, anchors: int, scale: float, by_sigmoid: bool, raw_centres: bool, dx: Array
) -> None:
    """Dx = scale diff, with by_sigmoid times σ (1 - σ) where a value went through the sigmoid.

    raw_centres: whether x and y count as if the values themselves were their sigmoids. All: (N, A L, H, W).
    """
    L = diff.shape[1] // anchors
    for n in prange(diff.shape[0]):
        for plane in range(diff.shape[1]):
            k = plane % L
            for j in range(diff.shape[2]):
                for i in range(diff.shape[3]):
                    value = scale * diff[n, plane, j, i]
                    if by_sigmoid and k != 2 and k != 3:
                        raw = float(head[n, plane, j, i])
                        s = raw if raw_centres and k < 2 else sigmoid(raw)
                        value *= (1 - s) * s
                    dx[n, plane, j, i] = value


# -------------------------------------------------------------------------- what a head has found


@serial_kernel
def detections(head: Array, anchors: Array, least: float, has_spread: bool, rows: Array, count: int) -> int:
    """Append a row for each class of each box whose score is above `least`; the count of all rows.

    head: (N, A L, H, W). anchors: (A, 2), in cells. has_spread: whether each of x, y, w and h has the plane
    of its uncertainty behind it, as a Gaussian head does, by whose mean the score is lessened. rows:
    (capacity, 6): class, score, x, y, w, h, from `count` on; those that have no room are counted only.
    """
    N, planes, H, W = head.shape
    A = len(anchors)
    L = planes // A
    step = 2 if has_spread else 1
    T = head.dtype.type
    for n in range(N):
        for j in range(H):
            for i in range(W):
                for a in range(A):
                    plane = a * L
                    certain = T(sigmoid(head[n, plane + 4 * step, j, i]))
                    if not certain > least:  # a class's score cannot be above this one
                        continue
                    if has_spread:
                        spread = T(4)
                        for k in range(1, 8, 2):
                            spread -= T(sigmoid(head[n, plane + k, j, i]))
                        certain *= spread / T(4)
                    for c in range(L - 4 * step - 1):
                        score = T(sigmoid(head[n, plane + 4 * step + 1 + c, j, i])) * certain
                        if not score > least:
                            continue
                        if count < len(rows):
                            rows[count, 0], rows[count, 1] = c, score
                            for k in range(4):
                                raw = head[n, plane + k * step, j, i]
                                size = W if k % 2 == 0 else H
                                if k < 2:
                                    rows[count, 2 + k] = ((i if k == 0 else j) + sigmoid(raw)) / size
                                else:
                                    rows[count, 2 + k] = math.exp(raw) * anchors[a, k - 2] / size
                        count += 1
    return count


@serial_kernel
def suppress(boxes: Array, order: Array, threshold: float, kept: Array) -> int:
    """Keep, in their order, the boxes that overlap no kept one by the threshold or more.

    boxes: (count, 4), x, y, w, h. order: indices. kept: indices; as many as are returned.
    """
    count = 0
    for i in order:
        box = (float(boxes[i, 0]), float(boxes[i, 1]), float(boxes[i, 2]), float(boxes[i, 3]))
        keep = True
        for k in range(count):
            other = boxes[kept[k]]
            if (
                overlap(box, (float(other[0]), float(other[1]), float(other[2]), float(other[3])))
                >= threshold
            ):
                keep = False
                break
        if keep:
            kept[count] = i
            count += 1
    return count
