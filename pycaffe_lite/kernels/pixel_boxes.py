"""Overlaps of boxes of pixels as Cascade R-CNN measures them, and suppression by them.

A box is a row of four numbers, x1, y1, x2, y2; it is x2 - x1 + 1 wide.

Source: zhaoweicai/cascade-rcnn src/caffe/util/bbox_util.cpp
"""

from typing import Any

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, parallel_kernel, serial_kernel

# What an intersection is divided by: the union, the smaller area, or the first box's.
IOU, IOMU, IOFU = 0, 1, 2
KINDS = {"IOU": IOU, "IOMU": IOMU, "IOFU": IOFU}


@kernel
def overlap(a: Array, b: Array, kind: int, by_sizes: bool) -> Any:
    """How much two boxes overlap; 0 for one whose sides are the wrong way round.

    by_sizes: as the fork takes it where it has the sizes of boxes, not their corners. There a side may be
    below 0 by less than 1, and boxes that have one row of no height in common overlap.
    """
    T = a.dtype.type
    least = T(-1) if by_sizes else T(0)
    for box in (a, b):
        w, h = box[2] - box[0], box[3] - box[1]
        if w < least or h < least or (by_sizes and (w == least or h == least)):
            return T(0)
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w < 0 or h < 0 or (h == 0 and not by_sizes):
        return T(0)
    common = (w + T(1)) * (h + T(1))
    first = (a[2] - a[0] + T(1)) * (a[3] - a[1] + T(1))
    second = (b[2] - b[0] + T(1)) * (b[3] - b[1] + T(1))
    if kind == IOMU:
        return common / min(first, second)
    return common / (first if kind == IOFU else first + second - common)


@parallel_kernel
def overlaps(boxes: Array, others: Array, kind: int, by_sizes: bool, found: Array) -> None:
    """found[i, j] = overlap of box i with the other j.  boxes: (B, 4). others: (G, 4). found: (B, G)."""
    for i in prange(len(boxes)):
        for j in range(len(others)):
            found[i, j] = overlap(boxes[i], others[j], kind, by_sizes)


@parallel_kernel
def pair_overlaps(boxes: Array, others: Array, found: Array) -> None:
    """found[i] = overlap by sizes of box i with the other i.  boxes, others: (count, 4). found: (count,)."""
    for i in prange(len(boxes)):
        found[i] = overlap(boxes[i], others[i], IOU, True)


@serial_kernel
def suppress(boxes: Array, order: Array, threshold: float, kind: int, kept: Array) -> int:
    """Keep, in their order, the boxes that no kept one overlaps by more than the threshold.

    boxes: (count, 4). order: indices. kept: indices; as many as are returned.
    """
    count, limit = 0, np.float32(threshold)
    for i in order:
        keep = True
        for k in range(count):
            if overlap(boxes[kept[k]], boxes[i], kind, False) > limit:
                keep = False
                break
        if keep:
            kept[count] = i
            count += 1
    return count
