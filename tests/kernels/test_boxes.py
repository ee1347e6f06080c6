"""Suppression of boxes against plain loops."""

import numpy as np
import pytest

from pycaffe_lite.kernels import boxes

RNG = np.random.default_rng(0)


def some_boxes(count, dtype):
    """Boxes of which many overlap, some have no area, and some sides the wrong way round."""
    corners = RNG.random((count, 2))
    made = np.concatenate([corners, corners + RNG.random((count, 2)) * 0.4], axis=1).astype(dtype)
    made[::17, 2:] = made[::17, :2]
    made[5::23] = made[5::23, [2, 3, 0, 1]]
    made[3::29] = made[2::29][: len(made[3::29])]  # twins
    return made


def overlap(a, b):
    """In the boxes' own type, rounded after each operation."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if not (width > 0 and height > 0):
        return a.dtype.type(0)
    common = width * height
    area = [
        (c[2] - c[0]) * (c[3] - c[1]) if c[2] >= c[0] and c[3] >= c[1] else c.dtype.type(0) for c in (a, b)
    ]
    return common / (area[0] + area[1] - common)


def suppressed(own, scores, least, most, threshold, eta):
    order = [i for i in np.argsort(-scores, kind="stable") if float(scores[i]) > least][:most]
    kept, limit = [], threshold
    for i in order:
        if not any(float(overlap(own[i], own[k])) > limit for k in kept):
            kept.append(i)
            if eta < 1 and limit > 0.5:
                limit *= eta
    return kept


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("threshold", "eta"), [(0.45, 1), (0.0, 1), (0.9, 0.95), (1.0, 1)])
@pytest.mark.parametrize(("count", "most"), [(1, 1), (31, 31), (150, 150), (150, 20), (150, 64)])
def test_suppress(count, most, threshold, eta, dtype):
    own = some_boxes(count, dtype)
    scores = np.round(RNG.random((1, 2, count)), 2).astype(dtype)  # with ties
    kept, counts = np.empty((1, 2, most), np.int64), np.empty((1, 2), np.int64)
    boxes.suppress(own[None, :, None], scores, 0, 0.1, most, threshold, float(eta), kept, counts)
    assert counts[0, 0] == 0
    wanted = suppressed(own, scores[0, 1], 0.1, most, threshold, eta)
    assert kept[0, 1, : counts[0, 1]].tolist() == wanted


def test_an_overlap_that_is_nearly_the_threshold():
    """A threshold in float64 that float32 would round up to the overlap."""
    own = np.array([[0, 0, 1, 1], [0, 0, 0.5, 1]], np.float32)
    scores = np.array([[[0, 0], [0.9, 0.8]]], np.float32)
    for threshold, stay in ((0.5, 2), (0.5 - 1e-12, 1)):
        kept, counts = np.empty((1, 2, 2), np.int64), np.empty((1, 2), np.int64)
        boxes.suppress(own[None, :, None], scores, 0, 0.0, 2, threshold, 1.0, kept, counts)
        assert counts[0, 1] == stay
