"""Measures of agreement of boxes, and their gradients."""

import math

import numpy as np
import pytest

from pycaffe_lite.kernels import agreement
from pycaffe_lite.kernels.agreement import CIOU, DIOU, GIOU, IOU

A, B = (
    (0.5, 0.45, 0.3, 0.4),
    (0.55, 0.5, 0.35, 0.32),
)  # they overlap, with corners of each outside of the other
FAR = (3.0, 2.0, 0.4, 0.2)


def corners(box):
    return box[0] - box[2] / 2, box[1] - box[3] / 2, box[0] + box[2] / 2, box[1] + box[3] / 2


def measured(a, b):
    """IoU, union, area around both, distance² over diagonal² of the box around both."""
    (al, at, ar, ab), (bl, bt, br, bb) = corners(a), corners(b)
    common = max(min(ar, br) - max(al, bl), 0) * max(min(ab, bb) - max(at, bt), 0)
    union = a[2] * a[3] + b[2] * b[3] - common
    w, h = max(ar, br) - min(al, bl), max(ab, bb) - min(at, bt)
    return common / union, union, w * h, ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / (w * w + h * h)


def turned(a, b):
    iou = measured(a, b)[0]
    v = 4 / math.pi**2 * (math.atan(b[2] / b[3]) - math.atan(a[2] / a[3])) ** 2
    return v / (1 - iou + v + 1e-6), v


@pytest.mark.parametrize("pair", [(A, B), (B, A), (A, FAR), (A, A)])
def test_agreement(pair):
    iou, union, around, apart = measured(*pair)
    alpha, v = turned(*pair)
    right = {
        IOU: iou,
        GIOU: iou - (around - union) / around,
        DIOU: iou - apart**0.6,
        CIOU: iou - apart - alpha * v,
    }
    for measure, value in right.items():
        assert agreement.agreement(*pair, measure) == pytest.approx(value)


def slopes(function, a):
    """Central differences by the four numbers of a box."""
    steps = []
    for k in range(4):
        low, high = list(a), list(a)
        low[k], high[k] = a[k] - 1e-6, a[k] + 1e-6
        steps.append((function(high) - function(low)) / 2e-6)
    return np.array(steps)


@pytest.mark.parametrize("pair", [(A, B), (B, A)])
def test_gradient_is_twice_the_true_one_by_sizes(pair):
    a, b = pair
    iou = slopes(lambda box: measured(box, b)[0], a)
    np.testing.assert_allclose(agreement.agreement_gradient(a, b, IOU), iou * [1, 1, 2, 2], rtol=1e-5)
    giou = slopes(lambda box: agreement.agreement(box, b, GIOU), a)
    np.testing.assert_allclose(agreement.agreement_gradient(a, b, GIOU), giou * [1, 1, 2, 2], rtol=1e-5)


def diagonal(a, b):
    """Of the box around both, squared."""
    (al, at, ar, ab), (bl, bt, br, bb) = corners(a), corners(b)
    return (max(ar, br) - min(al, bl)) ** 2 + (max(ab, bb) - min(at, bt)) ** 2


@pytest.mark.parametrize("pair", [(A, B), (B, A), (A, FAR)])
def test_gradient_of_the_diagonal_has_the_other_sign_by_centres(pair):
    a, b = pair
    iou = slopes(lambda box: measured(box, b)[0], a) * [1, 1, 2, 2]
    distance = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
    by_distance = slopes(lambda box: measured(box, b)[3] * diagonal(box, b), a) / diagonal(a, b)
    by_diagonal = slopes(lambda box: distance / diagonal(box, b), a)
    right = iou - by_distance + by_diagonal * [1, 1, -1, -1]
    np.testing.assert_allclose(agreement.agreement_gradient(a, b, DIOU), right, rtol=1e-4, atol=1e-7)
    if pair[1] is not FAR:  # there the intersection that counts is one of lengths below 0
        alpha, _ = turned(a, b)
        turn = (
            8 / math.pi**2 * (math.atan(b[2] / b[3]) - math.atan(a[2] / a[3])) * np.array([0, 0, a[3], -a[2]])
        )
        ciou = agreement.agreement_gradient(a, b, CIOU)
        np.testing.assert_allclose(ciou, right + alpha * turn, rtol=1e-4, atol=1e-7)
