"""Boxes around anchors, as Faster R-CNN reads them, and which of them overlap.

A box is a row of four numbers, x1, y1, x2, y2, in pixels; the last ones belong to it, so that it is
x2 - x1 + 1 wide.

Source: rbgirshick/py-faster-rcnn lib/fast_rcnn/bbox_transform.py, lib/nms/py_cpu_nms.py, lib/utils/bbox.pyx
"""

import math
from typing import Any

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel, serial_kernel


@kernel
def _clip(value: Any, last: Any) -> Any:
    """Between 0 and the last pixel."""
    return max(min(value, last), type(value)(0))


@parallel_kernel
def decode(deltas: Array, anchors: Array, stride: float, height: float, width: float, boxes: Array) -> None:
    """The boxes that offsets from the anchors of each cell mean, clipped to a picture of height x width.

    centre = c + d size, size' = exp(d) size, corners = centre -+ size' / 2; c is the anchor's corner and half
    its size. deltas: (4 A, H, W). anchors: (A, 4), those of the first cell; the others' lie `stride`
    further each. boxes: (H, W, A, 4).
    """
    H, W, A, _ = boxes.shape
    T = deltas.dtype.type
    half, one, last_x, last_y = T(0.5), T(1), T(width) - T(1), T(height) - T(1)
    for row in prange(H):
        h = np.int64(row)
        for w in range(W):
            for a in range(A):
                x, y = T(anchors[a, 0] + w * stride), T(anchors[a, 1] + h * stride)
                across = T(anchors[a, 2] + w * stride) - x + one
                down = T(anchors[a, 3] + h * stride) - y + one
                cx = deltas[4 * a, h, w] * across + (x + half * across)
                cy = deltas[4 * a + 1, h, w] * down + (y + half * down)
                across *= T(math.exp(deltas[4 * a + 2, h, w]))
                down *= T(math.exp(deltas[4 * a + 3, h, w]))
                box = boxes[h, w, a]
                box[0], box[1] = _clip(cx - half * across, last_x), _clip(cy - half * down, last_y)
                box[2], box[3] = _clip(cx + half * across, last_x), _clip(cy + half * down, last_y)


@kernel
def _area(box: Array) -> Any:
    """Width times height."""
    one = box.dtype.type(1)
    return (box[2] - box[0] + one) * (box[3] - box[1] + one)


@kernel
def overlap(a: Array, b: Array) -> Any:
    """The intersection of two boxes over their union."""
    T = a.dtype.type
    w = max(min(a[2], b[2]) - max(a[0], b[0]) + T(1), T(0))
    h = max(min(a[3], b[3]) - max(a[1], b[1]) + T(1), T(0))
    common = w * h
    return common / (_area(a) + _area(b) - common)


@parallel_kernel
def overlaps(boxes: Array, others: Array, found: Array) -> None:
    """found[i, j] = overlap of box i with the other j.  boxes: (B, 4). others: (G, 4). found: (B, G)."""
    for i in prange(len(boxes)):
        for j in range(len(others)):
            found[i, j] = overlap(boxes[i], others[j])


@serial_kernel
def suppress(boxes: Array, order: Array, threshold: float, most: int, kept: Array) -> int:
    """Keep, in their order, up to `most` boxes that overlap no kept one by more than the threshold.

    boxes: (count, 4). order: indices. kept: (most,), the indices that stay; as many as are returned.
    """
    count, limit = 0, boxes.dtype.type(threshold)
    for i in order:
        if count == most:
            break
        keep = True
        for k in range(count):
            if overlap(boxes[i], boxes[kept[k]]) > limit:
                keep = False
                break
        if keep:
            kept[count] = i
            count += 1
    return count
