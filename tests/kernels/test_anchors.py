"""Boxes around anchors, against what py-faster-rcnn's own functions gave."""

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite.kernels import anchors, sorting

PARTS = dict(np.load(FIXTURES / "rpn_parts.npz"))


@pytest.mark.parametrize("first", [0, 4])
def test_decode(first):
    boxes, deltas = PARTS["boxes"], PARTS["deltas"][:, first : first + 4]
    found = np.empty((1, 1, len(boxes), 4))
    anchors.decode(deltas.reshape(-1, 1, 1), boxes, 16.0, 70.0, 90.0, found)
    np.testing.assert_allclose(found[0, 0], PARTS["clipped"][:, first : first + 4], rtol=1e-12)


def test_decode_in_all_cells():
    base, deltas = PARTS["boxes"][:2], np.random.default_rng(0).normal(size=(8, 2, 3)) / 5
    found = np.empty((2, 3, 2, 4))
    anchors.decode(deltas, base, 8.0, 1e4, 1e4, found)
    for h, w in np.ndindex(2, 3):
        shifted = base + np.array([w, h, w, h]) * 8
        alone = np.empty((1, 1, 2, 4))
        anchors.decode(deltas[:, h : h + 1, w : w + 1].copy(), shifted, 8.0, 1e4, 1e4, alone)
        np.testing.assert_allclose(found[h, w], alone[0, 0])


def test_overlaps():
    boxes, truth = PARTS["boxes"], PARTS["gt"]
    found = np.empty((len(boxes), len(truth)))
    anchors.overlaps(boxes, truth, found)
    low, high = np.maximum(boxes[:, None, :2], truth[:, :2]), np.minimum(boxes[:, None, 2:], truth[:, 2:])
    common = np.maximum(high - low + 1, 0).prod(axis=2)
    areas = [(b[:, 2:] - b[:, :2] + 1).prod(axis=1) for b in (boxes, truth)]
    np.testing.assert_allclose(found, common / (areas[0][:, None] + areas[1] - common))


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7])
def test_suppress(threshold):
    boxes = np.ascontiguousarray(PARTS["dets"][:, :4])
    order = np.argsort(PARTS["dets"][:, 4], kind="stable")[::-1]
    right = PARTS[f"nms:{threshold}"]
    for most in (len(boxes), 3):
        kept = np.empty(most, np.int64)
        kept = kept[: anchors.suppress(boxes, order, threshold, most, kept)]
        np.testing.assert_array_equal(kept, right[:most])


def quick_sort(scores, first, last, most):
    """PVANet's, as it stands in the description of the algorithm."""
    order = scores
    pivot, left, right = order[first][0], first + 1, last
    while left <= right:
        while left <= last and order[left][0] >= pivot:
            left += 1
        while right > first and order[right][0] <= pivot:
            right -= 1
        if left <= right:
            order[left], order[right] = order[right], order[left]
            left, right = left + 1, right - 1
    order[first], order[right] = order[right], order[first]
    if first < right - 1:
        quick_sort(order, first, right - 1, most)
    if right + 1 < most and right + 1 < last:
        quick_sort(order, right + 1, last, most)


@pytest.mark.parametrize(("count", "most", "values"), [(1, 5, 9), (40, 40, 4), (60, 10, 6), (200, 50, 1000)])
def test_quick_sort(count, most, values):
    scores = np.random.default_rng(count).integers(0, values, count) / 7
    pairs = [(score, i) for i, score in enumerate(scores)]
    quick_sort(pairs, 0, count - 1, most)
    order = sorting.best_first(scores, most)
    np.testing.assert_array_equal(order, [i for _, i in pairs])
    np.testing.assert_array_equal(scores[order[:most]], np.sort(scores)[::-1][:most])
