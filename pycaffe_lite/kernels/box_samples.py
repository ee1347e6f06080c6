"""Drawing parts of a picture, as the batch samplers of SSD do it.

All values are float32, each operation rounded to float32, as in the fork.
Source: weiliu89/caffe src/caffe/util/sampler.cpp
"""

import math
from typing import Any

import numpy as np

from pycaffe_lite.kernels.boxes import area
from pycaffe_lite.kernels.random_draws import draw_uniform
from pycaffe_lite.kernels.runtime.decorators import Array, kernel, serial_kernel

_ZERO, _ONE = np.float32(0), np.float32(1)
_LARGEST = np.float32(np.finfo(np.float32).max)


@kernel
def _uniform(state: Array, low: float, high: float) -> Any:
    """A value of [low, high]."""
    return draw_uniform(state, low, np.nextafter(high, _LARGEST))


@kernel
def _draw(state: Array, sizes: Array, out: Array) -> None:
    """A part of the unit square.  sizes: (4,) least and largest scale and aspect ratio; out: (4,) corners."""
    scale = _uniform(state, sizes[0], sizes[1])
    ratio = _uniform(state, sizes[2], sizes[3])
    square = np.float64(scale) * np.float64(scale)
    ratio = max(ratio, np.float32(square))
    ratio = min(ratio, np.float32(1 / square))
    root = np.float32(math.sqrt(ratio))
    width, height = scale * root, scale / root
    x = _uniform(state, _ZERO, max(_ONE - width, _ZERO))
    y = _uniform(state, _ZERO, max(_ONE - height, _ZERO))
    out[0], out[1], out[2], out[3] = x, y, x + width, y + height


@kernel
def _common(a: Array, b: Array) -> Any:
    """The size of what two boxes share."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else _ZERO


@kernel
def _is_taken(part: Array, boxes: Array, bounds: Array) -> bool:
    """Whether a box meets the constraints, or there are none.

    Each kind of constraint is asked for in turn; a box that meets one kind, and not the next, still counts as
    found for the boxes after it, as in the fork.  bounds: (6,) least and largest of each kind, NaN for none.
    """
    anything = False
    for i in range(6):
        anything |= not np.isnan(bounds[i])
    if not anything:
        return True
    found = False
    for n in range(boxes.shape[0]):
        box = boxes[n]
        common = _common(part, box)
        is_out = False
        for kind in range(3):
            least, most = bounds[2 * kind], bounds[2 * kind + 1]
            if np.isnan(least) and np.isnan(most):
                continue
            share = _ZERO
            if common > 0:
                if kind == 0:
                    share = common / (area(part) + area(box) - common)
                elif kind == 1:
                    share = common / area(part)
                else:
                    share = common / area(box)
            if share < least or share > most:  # never true of NaN
                is_out = True
                break
            found = True
        if found and not is_out:
            return True
    return found


@serial_kernel
def sample(state: Array, sizes: Array, bounds: Array, limits: Array, boxes: Array, out: Array) -> int:
    """Draws parts of the unit square by each sampler in turn.

    Args:
        state: of the random stream.
        sizes: (S, 4) float32: least and largest scale, least and largest aspect ratio of each sampler.
        bounds: (S, 6) float32: least and largest Jaccard overlap, share of the part, share of the object that
            an object must have; NaN for no bound.
        limits: (S, 2) int64: how many parts are taken, and how many drawn, at most.
        boxes: (N, 4) float32, the objects.
        out: (parts, 4) float32, with room for all that may be taken.

    Returns:
        How many are taken.
    """
    taken = 0
    for s in range(sizes.shape[0]):
        start = taken
        for _ in range(limits[s, 1]):
            if taken - start >= limits[s, 0]:
                break
            part = out[taken]
            _draw(state, sizes[s], part)
            if _is_taken(part, boxes, bounds[s]):
                taken += 1
    return taken
