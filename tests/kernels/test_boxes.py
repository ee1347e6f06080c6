"""Boxes against loops from the definitions."""

import math

import numpy as np
import pytest

from pycaffe_lite.kernels import boxes

R = np.random.default_rng(0)
BOTH = pytest.mark.parametrize("py_func", [False, True])
CODES = pytest.mark.parametrize("code", [boxes.CORNER, boxes.CENTER_SIZE, boxes.CORNER_SIZE])


def of(kernel, py_func):
    return kernel.py_func if py_func else kernel


def random_boxes(*shape, dtype=np.float64):
    corners = R.uniform(0, 0.7, size=(*shape, 2))
    return np.concatenate([corners, corners + R.uniform(0.05, 0.5, size=(*shape, 2))], axis=-1).astype(dtype)


def overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    sizes = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(sizes) - width * height)


def test_areas_and_overlaps():
    a = np.array([0.0, 0, 2, 1])
    assert boxes.area(a) == 2
    assert boxes.area(np.array([1.0, 0, 0, 1])) == boxes.area(np.array([0.0, 1, 1, 0])) == 0
    assert boxes.overlap(a, np.array([1.0, 0, 3, 1])) == pytest.approx(1 / 3)
    assert boxes.overlap(a, np.array([2.0, 0, 3, 1])) == 0  # they touch
    assert boxes.overlap(a, np.array([0.5, 0.5, 0.5, 0.8])) == 0
    for one, two in zip(random_boxes(50), random_boxes(50), strict=True):
        assert boxes.overlap(one, two) == pytest.approx(overlap(one, two))
        assert boxes.overlap.py_func(one, two) == pytest.approx(overlap(one, two))


def decoded(prior, variance, code, t):
    """The box that an offset means."""
    px, py = (prior[0] + prior[2]) / 2, (prior[1] + prior[3]) / 2
    pw, ph = prior[2] - prior[0], prior[3] - prior[1]
    u = variance * t
    if code == boxes.CORNER:
        return prior + u
    if code == boxes.CORNER_SIZE:
        return prior + u * [pw, ph, pw, ph]
    x, y, w, h = px + u[0] * pw, py + u[1] * ph, pw * math.exp(u[2]), ph * math.exp(u[3])
    return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


@BOTH
@CODES
@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("images", [1, 2])
def test_decoding_and_encoding(code, encoded, images, py_func):
    priors, variances = random_boxes(images, 3), R.uniform(0.1, 0.3, size=(3, 4))
    offsets, got = R.normal(size=(2, 3, 2, 4)), np.empty((2, 3, 2, 4))
    of(boxes.decode, py_func)(priors, variances, code, encoded, offsets, got)
    for n, p, i in np.ndindex(2, 3, 2):
        prior = priors[n if images > 1 else 0, p]
        right = decoded(prior, np.ones(4) if encoded else variances[p], code, offsets[n, p, i])
        np.testing.assert_allclose(got[n, p, i], right, rtol=1e-12, atol=1e-14)
    back = np.empty((3, 4))
    wrong = of(boxes.encode, py_func)(priors[0], variances, code, encoded, got[0, :, 0], back)
    assert wrong == 0
    np.testing.assert_allclose(back, offsets[0, :, 0], rtol=1e-9, atol=1e-12)


@BOTH
@pytest.mark.parametrize(
    ("code", "prior", "box", "variance", "wrong"),
    [
        (boxes.CENTER_SIZE, [0, 0, 0, 1], [0, 0, 1, 1], 0.1, 1),
        (boxes.CENTER_SIZE, [0, 0, 1, 1], [0, 0, 1, 0], 0.1, 1),
        (boxes.CENTER_SIZE, [0, 0, 1, 1], [0, 0, np.nan, 1], 0.1, 1),
        (boxes.CORNER_SIZE, [0, 0, 0, 1], [0, 0, 1, 1], 0.1, 1),
        (boxes.CORNER_SIZE, [0, 0, 1, 1], [0, 0, 0, 0], 0.1, 0),
        (boxes.CORNER, [0, 0, 0, 0], [0, 0, 0, 0], 0.1, 0),
        (boxes.CORNER, [0, 0, 1, 1], [0, 0, 1, 1], 0.0, 1),
        (boxes.CENTER_SIZE, [0, 0, 1, 1], [0, 0, 1, 1], -0.1, 1),
    ],
)
def test_what_cannot_be_encoded(code, prior, box, variance, wrong, py_func):
    arrays = [np.array([row], float) for row in (prior, [variance] * 4, box)]
    encode = of(boxes.encode, py_func)
    assert encode(arrays[0], arrays[1], code, False, arrays[2], np.empty((1, 4))) == wrong


def matched(own, truth, threshold, each, inside):
    """Which of its image's ground truth each box has, by the definition."""
    P, G = len(own), len(truth)
    overlaps = np.array([[overlap(box, other) for other in truth] for box in own]).reshape(P, G)
    overlaps[overlaps <= 1e-6] = 0
    index, best = [-1] * P, [0.0] * P
    for p in range(P):
        if inside and (own[p].min() < 0 or own[p].max() > 1):
            index[p] = -2
            overlaps[p] = 0
        elif G:
            best[p] = overlaps[p].max()
    left = set(range(G))
    while left:
        value, p, g = max(
            ((overlaps[p, g], -p, -g) for p in range(P) for g in left if index[p] == -1), default=(0, 0, 0)
        )
        if value <= 0:
            break
        index[-p], best[-p] = -g, value
        left.discard(-g)
    for p in range(P):
        if each and index[p] == -1 and G and overlaps[p].max() >= threshold and overlaps[p].max() > 0:
            index[p], best[p] = int(overlaps[p].argmax()), overlaps[p].max()
    return index, best


@BOTH
@pytest.mark.parametrize("own_boxes", [False, True])
@pytest.mark.parametrize(("each", "inside"), [(True, False), (False, False), (True, True)])
def test_matching(own_boxes, each, inside, py_func):
    own = random_boxes(3 if own_boxes else 1, 12)
    truth = np.concatenate([random_boxes(4), [[0, 0, 0, 0], [5, 5, 6, 6]]])
    starts = np.array([0, 2, 2, 6])  # the second image has none
    index, best = np.full((3, 12), 9), np.empty((3, 12))
    of(boxes.match, py_func)(own, truth, starts, 0.3, each, inside, index, best)
    for n in range(3):
        rights = matched(own[n if own_boxes else 0], truth[starts[n] : starts[n + 1]], 0.3, each, inside)
        assert index[n].tolist() == rights[0]
        np.testing.assert_allclose(best[n], rights[1], rtol=1e-12)


def test_of_equal_overlaps_the_first_counts():
    own, truth = np.array([[[0.0, 0, 1, 1]] * 3]), np.array([[0.0, 0, 1, 1]] * 2)
    index, best = np.empty((1, 3), int), np.empty((1, 3))
    boxes.match(own, truth, np.array([0, 2]), 0.5, True, False, index, best)
    assert index.tolist() == [[0, 1, 0]]


def suppressed(own, scores, least, most, threshold, eta):
    order = sorted((p for p in range(len(own)) if scores[p] > least), key=lambda p: -scores[p])[:most]
    kept = []
    for p in order:
        if all(overlap(own[p], own[k]) <= threshold for k in kept):
            kept.append(p)
            if eta < 1 and threshold > 0.5:
                threshold *= eta
    return kept


@BOTH
@pytest.mark.parametrize("classes_of_boxes", [1, 3])
@pytest.mark.parametrize(
    ("least", "most", "threshold", "eta"),
    [(-1e30, 20, 0.3, 1.0), (0.4, 20, 0.3, 1.0), (0.1, 5, 0.9, 0.8), (0.1, 0, 0.3, 1.0), (2, 9, 0.3, 1.0)],
)
def test_suppression(classes_of_boxes, least, most, threshold, eta, py_func):
    own, scores = random_boxes(2, 20, classes_of_boxes), R.integers(0, 9, size=(2, 3, 20)) / 9
    kept, counts = np.empty((2, 3, most), int), np.empty((2, 3), int)
    of(boxes.suppress, py_func)(own, scores, 1, least, most, threshold, eta, kept, counts)
    for n, c in np.ndindex(2, 3):
        right = suppressed(
            own[n, :, c if classes_of_boxes > 1 else 0], scores[n, c], least, most, threshold, eta
        )
        assert kept[n, c, : counts[n, c]].tolist() == ([] if c == 1 else right)


def test_nan_scores_and_boxes_are_not_kept_or_harm_nobody():
    own = random_boxes(1, 3, 1)
    own[0, 1] = np.nan
    kept, counts = np.empty((1, 1, 3), int), np.empty((1, 1), int)
    boxes.suppress(own, np.array([[[np.nan, 0.5, 0.9]]]), -1, -1e30, 3, 0.3, 1.0, kept, counts)
    assert kept[0, 0, : counts[0, 0]].tolist() == [2, 1]


@BOTH
def test_suppression_of_one_set(py_func):
    own, scores = random_boxes(15), R.normal(size=15)
    own[3, 2:] = own[3, :2] + 1e-3  # an area below 1e-5
    scores[3] = 99
    kept = np.empty(15, int)
    count = of(boxes.suppress_all, py_func)(own, scores, 10, 0.4, kept)
    order = np.argsort(-scores)[1:10]
    right = order[suppressed(own[order], scores[order], -1e30, 10, 0.4, 1.0)]
    assert kept[:count].tolist() == right.tolist()
