"""Boxes: areas and overlaps, codes relative to prior boxes, matching and suppression.

A box is a row of four numbers: xmin, ymin, xmax, ymax.

Source: weiliu89/caffe src/caffe/util/bbox_util.cpp
"""

import math
from typing import Any

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel, serial_kernel

# Codes of boxes, as caffe_pb2.PriorBoxParameter.CodeType numbers them.
CORNER, CENTER_SIZE, CORNER_SIZE = 1, 2, 3
LEAST_OVERLAP = 1e-6  # of a match
LEAST_AREA = 1e-5  # of a box that suppression takes into account


@kernel
def area(box: Array) -> Any:
    """Width times height; 0 for a box whose sides are the wrong way round."""
    if box[2] < box[0] or box[3] < box[1]:
        return box.dtype.type(0)
    return (box[2] - box[0]) * (box[3] - box[1])


@kernel
def overlap(a: Array, b: Array) -> Any:
    """The Jaccard overlap of two boxes: intersection over union, 0 where they have no area in common."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if not (width > 0 and height > 0):
        return a.dtype.type(0)
    common = width * height
    return common / (area(a) + area(b) - common)


@kernel
def _decode(prior: Array, variance: Array, code: int, encoded: bool, t: Array, box: Array) -> None:
    """As `decode`, for one box."""
    width, height = prior[2] - prior[0], prior[3] - prior[1]
    one = prior.dtype.type(1)
    v0, v1, v2, v3 = (one, one, one, one)
    if not encoded:
        v0, v1, v2, v3 = variance[0], variance[1], variance[2], variance[3]
    if code == CENTER_SIZE:
        half = prior.dtype.type(0.5)
        x = v0 * t[0] * width + (prior[0] + prior[2]) * half
        y = v1 * t[1] * height + (prior[1] + prior[3]) * half
        w = prior.dtype.type(math.exp(v2 * t[2])) * width
        h = prior.dtype.type(math.exp(v3 * t[3])) * height
        box[0], box[1], box[2], box[3] = x - w * half, y - h * half, x + w * half, y + h * half
        return
    across, down = (width, height) if code == CORNER_SIZE else (one, one)
    box[0], box[1] = prior[0] + v0 * t[0] * across, prior[1] + v1 * t[1] * down
    box[2], box[3] = prior[2] + v2 * t[2] * across, prior[3] + v3 * t[3] * down


@parallel_kernel
def decode(priors: Array, variances: Array, code: int, encoded: bool, offsets: Array, boxes: Array) -> None:
    """The boxes that offsets from prior boxes mean.

    priors: (1, P, 4) for all images, or (N, P, 4). variances: (P, 4), not used where they are `encoded` in
    the offsets. code: CORNER, b = p + v t; CENTER_SIZE, centre = v t size + centre, size = exp(v t) size;
    CORNER_SIZE, b = p + v t size. offsets t, boxes: (N, P, L, 4), for L classes that have boxes of their own.
    """
    N, P, L, _ = offsets.shape
    own_priors = priors.shape[0] > 1
    for task in prange(N * P):
        n, p = np.int64(task) // P, np.int64(task) % P
        prior = priors[n * own_priors, p]
        for i in range(L):
            _decode(prior, variances[p], code, encoded, offsets[n, p, i], boxes[n, p, i])


@serial_kernel
def encode(priors: Array, variances: Array, code: int, encoded: bool, boxes: Array, offsets: Array) -> int:
    """The offsets of boxes from prior boxes, the reverse of `decode`; all (count, 4).

    Returns how many pairs have no code: CENTER_SIZE needs positive sides of both, CORNER_SIZE of the prior,
    and all need positive variances.
    """
    wrong = 0
    for i in range(len(boxes)):
        if not min(variances[i, 0], variances[i, 1], variances[i, 2], variances[i, 3]) > 0:
            wrong += 1
            continue
        prior, box, t = priors[i], boxes[i], offsets[i]
        width, height = prior[2] - prior[0], prior[3] - prior[1]
        if code == CORNER:
            for k in range(4):
                t[k] = box[k] - prior[k]
        elif code == CORNER_SIZE:
            if not (width > 0 and height > 0):
                wrong += 1
                continue
            for k in range(4):
                t[k] = (box[k] - prior[k]) / (width if k % 2 == 0 else height)
        else:
            w, h = box[2] - box[0], box[3] - box[1]
            if not (width > 0 and height > 0 and w > 0 and h > 0):
                wrong += 1
                continue
            t[0] = ((box[0] + box[2]) - (prior[0] + prior[2])) / 2 / width
            t[1] = ((box[1] + box[3]) - (prior[1] + prior[3])) / 2 / height
            t[2] = math.log(w / width)
            t[3] = math.log(h / height)
        if not encoded:
            for k in range(4):
                t[k] /= variances[i, k]
    return wrong


@parallel_kernel
def match(
    boxes: Array, truth: Array, starts: Array, threshold: float, each: bool, inside: bool, index: Array,
    best: Array,
) -> None:  # fmt: skip
    """Give boxes the ground truth that they shall find.

    First, one by one, the pair with the largest overlap of those that are left, as long as any overlaps by
    more than LEAST_OVERLAP; then, if `each`, every box that is left its best ground truth, if they overlap
    by `threshold` at least. Of equal overlaps the first one counts.

    boxes: (1, P, 4) for all images, or (N, P, 4). truth: (G, 4), those of image n from starts[n] up to
    starts[n + 1]. inside: whether boxes that reach outside of 0 to 1 take no part; their index is -2.
    index: (N, P), which of its image's ground truth a box has; -1: none. best: (N, P), the overlap with that,
    or else the largest overlap with any.
    """
    N, P = index.shape
    own_boxes = boxes.shape[0] > 1
    for n in prange(N):
        of_image, own = truth[starts[n] : starts[n + 1]], boxes[np.int64(n) * own_boxes]
        overlaps = np.zeros((P, len(of_image)), boxes.dtype)
        for p in range(P):
            index[n, p], best[n, p] = -1, 0
            box = own[p]
            if inside and (
                min(box[0], box[1], box[2], box[3]) < 0 or max(box[0], box[1], box[2], box[3]) > 1
            ):
                index[n, p] = -2
                continue
            for g in range(len(of_image)):
                o = overlap(box, of_image[g])
                if o > LEAST_OVERLAP:
                    overlaps[p, g] = o
                    best[n, p] = max(best[n, p], o)
        _match_one_by_one(overlaps, index[n], best[n])
        if each:
            _match_each(overlaps, threshold, index[n], best[n])


@kernel
def _match_one_by_one(overlaps: Array, index: Array, best: Array) -> None:
    """The largest overlap of all that are left, until none is."""
    P, G = overlaps.shape
    taken = np.zeros(G, np.bool_)
    for _ in range(G):
        largest, box, found = overlaps.dtype.type(0), -1, -1
        for p in range(P):
            if index[p] == -1 and best[p] > largest:
                for g in range(G):
                    if not taken[g] and overlaps[p, g] > largest:
                        largest, box, found = overlaps[p, g], p, g
        if box < 0:
            return
        index[box], best[box], taken[found] = found, largest, True


@kernel
def _match_each(overlaps: Array, threshold: float, index: Array, best: Array) -> None:
    """The best ground truth for each box that has none."""
    for p in range(len(index)):
        if index[p] != -1:
            continue
        largest = overlaps.dtype.type(0)
        for g in range(overlaps.shape[1]):
            if overlaps[p, g] >= threshold and overlaps[p, g] > largest:
                largest, index[p] = overlaps[p, g], g
        if index[p] >= 0:
            best[p] = largest


@kernel
def _suppress(boxes: Array, order: Array, threshold: float, eta: float, kept: Array) -> int:
    """Keep, in their order, the boxes that overlap no kept one by more than the threshold.

    boxes: (P, 4). order: indices. kept: the indices that stay; as many as are returned. After each kept box,
    a threshold above 0.5 is multiplied by an eta below 1.
    """
    count, limit = 0, threshold
    for i in order:
        keep = True
        for k in range(count):
            if overlap(boxes[i], boxes[kept[k]]) > limit:
                keep = False
                break
        if keep:
            kept[count] = i
            count += 1
            if eta < 1 and limit > 0.5:
                limit *= eta
    return count


@kernel
def _by_score(scores: Array, threshold: float, most: int) -> Array:
    """Indices of the scores above the threshold, the highest first, equal ones in order; `most` of them."""
    found = np.flatnonzero(scores > threshold)
    order = np.argsort(-scores[found], kind="mergesort")
    return found[order[:most]]


@parallel_kernel
def suppress(
    boxes: Array, scores: Array, background: int, least: float, most: int, threshold: float, eta: float,
    kept: Array, counts: Array,
) -> None:  # fmt: skip
    """Non-maximum suppression of each image's boxes, class by class.

    boxes: (N, P, L, 4), with L = 1 where all classes share them. scores: (N, C, P). Of a class those count
    whose score is above `least`, and of these the `most` highest. kept: (N, C, most), indices of the boxes
    that stay, the highest score first; counts: (N, C), how many. The background has none.
    """
    N, C, _ = scores.shape
    own_boxes = boxes.shape[2] > 1
    for task in prange(N * C):
        n, c = np.int64(task) // C, np.int64(task) % C
        counts[n, c] = 0
        if c == background:
            continue
        own = boxes[n, :, c * own_boxes]
        order = _by_score(scores[n, c], least, most)
        counts[n, c] = _suppress(own, order, threshold, eta, kept[n, c])


@serial_kernel
def suppress_all(boxes: Array, scores: Array, most: int, threshold: float, kept: Array) -> int:
    """Non-maximum suppression of one set of boxes, without those of nearly no area.

    boxes: (count, 4). scores: (count,), of which the `most` highest count. kept: (count,), indices; as many
    as are returned, the highest score first.
    """
    order = np.argsort(-scores, kind="mergesort")[:most]
    large = np.array([i for i in order if area(boxes[i]) >= LEAST_AREA], np.int64)
    return _suppress(boxes, large, threshold, 1.0, kept)
