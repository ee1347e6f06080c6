"""Anchors: the boxes of several shapes and sizes that a region proposal network starts from, in each cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array

RATIOS, SCALES = (0.5, 1.0, 2.0), (8.0, 16.0, 32.0)


def anchors_of(
    base_size: int = 16, ratios: Sequence[float] = RATIOS, scales: Sequence[float] = SCALES
) -> Array:
    """The anchors of the first cell: (A, 4), x1, y1, x2, y2 in pixels, scale by scale for each ratio.

    A square from 0 to base_size - 1 is given each ratio of height to width, its sides rounded (half to even),
    and multiplied by each scale, about the same centre.

    Source: rbgirshick/py-faster-rcnn lib/rpn/generate_anchors.py
    """
    each = np.asarray(ratios, np.float64)
    widths = np.round(np.sqrt(base_size**2 / each))
    return around_centre(base_size, widths, np.round(widths * each), scales)


def around_centre(base_size: int, widths: Array, heights: Array, scales: Sequence[float] | Array) -> Array:
    """Anchors of given sizes times each scale, (A, 4), about the centre of a square of base_size pixels."""
    sizes = np.stack([widths, heights], axis=1)[:, None] * np.asarray(scales, np.float64)[:, None]
    reach = (sizes.reshape(-1, 2) - 1) / 2
    centre = (base_size - 1) / 2
    return np.hstack([centre - reach, centre + reach])


def in_all_cells(anchors: Array, stride: float, height: int, width: int) -> Array:
    """The anchors of all cells of a map: (height * width * A, 4), cell by cell, row by row."""
    y, x = np.mgrid[:height, :width] * stride
    shifts = np.stack([x, y, x, y], axis=-1).reshape(-1, 1, 4)
    shifted: Array = (anchors + shifts).reshape(-1, 4)
    return shifted


def offsets(boxes: Array, truth: Array) -> Array:
    """The offsets of ground truth from boxes: (count, 4), those that `kernels.anchors.decode` reads.

    Args:
        boxes, truth: (count, 4).
    """
    sizes = boxes[:, 2:4] - boxes[:, :2] + 1
    truth_sizes = truth[:, 2:4] - truth[:, :2] + 1
    centres, truth_centres = boxes[:, :2] + sizes / 2, truth[:, :2] + truth_sizes / 2
    return np.hstack([(truth_centres - centres) / sizes, np.log(truth_sizes / sizes)])
