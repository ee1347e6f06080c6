"""How well two boxes agree, by several measures, and the gradients of these.

Boxes are tuples of centre and size, (x, y, w, h).

Source: eric612/MobileNet-YOLO src/caffe/util/bbox_util.cpp, src/caffe/layers/yolov3_layer.cpp
"""

import math
from typing import Any

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import kernel

# The measures, as caffe_pb2.Yolov3Parameter.IOU_LOSS numbers them; MSE's is IOU's.
IOU, GIOU, MSE, DIOU, CIOU = 0, 1, 2, 3, 4


@kernel
def _shared(x1: float, w1: float, x2: float, w2: float) -> float:
    """How long two stretches run together; below 0: how far they are apart."""
    return min(x1 + w1 / 2, x2 + w2 / 2) - max(x1 - w1 / 2, x2 - w2 / 2)


@kernel
def _hull(x1: float, w1: float, x2: float, w2: float) -> float:
    """How long the stretch is that holds both."""
    return max(x1 + w1 / 2, x2 + w2 / 2) - min(x1 - w1 / 2, x2 - w2 / 2)


@kernel
def overlap(a: Any, b: Any) -> Any:
    """The intersection of two boxes over their union; NaN where both are nothing."""
    w, h = _shared(a[0], a[2], b[0], b[2]), _shared(a[1], a[3], b[1], b[3])
    common = 0.0 if w < 0 or h < 0 else w * h
    return common / (a[2] * a[3] + b[2] * b[3] - common)


@kernel
def agreement(a: Any, b: Any, measure: int) -> Any:
    """How well two boxes agree.

    GIOU = IoU - (C - U) / C, with U their union and C the area of the box around both; DIOU = IoU - (d² /
    c²)^0.6, with d the distance of their centres and c the diagonal of the box around both; CIOU = IoU - d² /
    c² - α v, with v = 4/π² (atan(w_b / h_b) - atan(w_a / h_a))² and α = v / (1 - IoU + v + 1e-6). The
    exponent of DIOU is the fork's, and darknet's.
    """
    iou = overlap(a, b)
    if measure in (IOU, MSE):
        return iou
    across, down = _hull(a[0], a[2], b[0], b[2]), _hull(a[1], a[3], b[1], b[3])
    if measure == GIOU:
        w, h = _shared(a[0], a[2], b[0], b[2]), _shared(a[1], a[3], b[1], b[3])
        common = 0.0 if w < 0 or h < 0 else w * h
        union, around = a[2] * a[3] + b[2] * b[3] - common, across * down
        return iou if around == 0 else iou - (around - union) / around
    diagonal = across**2 + down**2
    if diagonal == 0:
        return iou
    apart = ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / diagonal
    if measure == DIOU:
        return iou - apart**0.6
    v = 4 / math.pi**2 * (math.atan(b[2] / b[3]) - math.atan(a[2] / a[3])) ** 2
    return iou - apart - v / (1 - iou + v + 1e-6) * v


@kernel
def _outer(low: bool, high: bool) -> tuple[float, float]:
    """The derivatives of the hull by a stretch's centre and length.  low, high: where it is the outer one."""
    return 1.0 * high - 1.0 * low, 0.5 * high + 0.5 * low


@kernel
def agreement_gradient(a: Any, b: Any, measure: int) -> tuple[float, float, float, float]:
    """The gradient of `agreement` by a's x, y, w and h, as the fork takes it.

    That is darknet's: sizes get twice the gradient of IOU and GIOU; of DIOU and CIOU, whose exponent counts
    as 1, the part of the diagonal has the other sign for centres; and where the boxes are apart only the
    measure's own part remains.
    """
    left, right, top, bottom = a[0] - a[2] / 2, a[0] + a[2] / 2, a[1] - a[3] / 2, a[1] + a[3] / 2
    b_left, b_right, b_top, b_bottom = b[0] - b[2] / 2, b[0] + b[2] / 2, b[1] - b[3] / 2, b[1] + b[3] / 2
    Iw, Ih = _shared(a[0], a[2], b[0], b[2]), _shared(a[1], a[3], b[1], b[3])
    common, area = Iw * Ih, a[2] * a[3]
    U = area + b[2] * b[3] - common
    Cw, Ch = _hull(a[0], a[2], b[0], b[2]), _hull(a[1], a[3], b[1], b[3])
    C = Cw * Ch
    # By the sides top, bottom, left and right.
    dX = (-a[2], a[2], -a[3], a[3])
    dI = (-Iw * (top > b_top), Iw * (bottom < b_bottom), -Ih * (left > b_left), Ih * (right < b_right))
    dC = (-Cw * (top < b_top), Cw * (bottom > b_bottom), -Ch * (left < b_left), Ch * (right > b_right))
    is_apart = Iw <= 0 or Ih <= 0
    sides = np.zeros(4)
    for i in range(4):
        dU = dX[i] - dI[i]
        own = (C * dU - U * dC[i]) / (C * C) if measure == GIOU else 0.0
        if measure == GIOU and is_apart:
            sides[i] = own
        else:
            sides[i] = ((U * dI[i] - common * dU) / (U * U) if U > 0 else 0.0) + (own if C > 0 else 0.0)
    if measure != DIOU and measure != CIOU:
        return sides[2] + sides[3], sides[0] + sides[1], sides[3] - sides[2], sides[1] - sides[0]
    if is_apart:
        sides[:] = 0
    dx, dy, dw, dh = sides[2] + sides[3], sides[0] + sides[1], sides[3] - sides[2], sides[1] - sides[0]
    S, D = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2, Cw * Cw + Ch * Ch
    if is_apart or D > 0:
        by_x, by_w = _outer(left < b_left, right > b_right)
        by_y, by_h = _outer(top < b_top, bottom > b_bottom)
        dx += (2 * (b[0] - a[0]) * D - 2 * Cw * by_x * S) / D**2
        dy += (2 * (b[1] - a[1]) * D - 2 * Ch * by_y * S) / D**2
        dw += 2 * Cw * by_w * S / D**2
        dh += 2 * Ch * by_h * S / D**2
    if measure == CIOU and (is_apart or D > 0):
        turn = math.atan(b[2] / b[3]) - math.atan(a[2] / a[3])
        v = 4 / math.pi**2 * turn**2
        alpha = v / (1 - common / U + v + 1e-6)
        dw += alpha * 8 / math.pi**2 * turn * a[3]
        dh -= alpha * 8 / math.pi**2 * turn * a[2]
    return dx, dy, dw, dh
