"""The bottoms of layers that pool over regions of interest."""

from __future__ import annotations

from typing import Any

import numpy as np

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.layer.base import Layer


def regions_of(layer: Layer[Any], blob: Blob, images: int) -> Array:
    """The rows of a blob of regions: (R, 5), the image's number and x1, y1, x2, y2.

    Raises:
        LayerError: an image's number is out of range.
    """
    rows = blob.data.reshape(-1, 5)
    with np.errstate(invalid="ignore"):  # NaN becomes a number that is out of range
        image = rows[:, 0].astype(np.int64)
    wrong = (image < 0) | (image >= images)
    if wrong.any():
        raise layer.error(f"needs regions of images 0 to {images - 1}, got image {rows[wrong][0, 0]:g}")
    return rows


def check_regions(layer: Layer[Any], x: Blob, regions: Blob) -> int:
    """The number of regions.

    Raises:
        LayerError: the bottoms are not of the shapes that they should be.
    """
    if len(x.shape) != 4:
        raise layer.error(f"needs a feature map of 4 axes, got shape {x.shape}")
    if not regions.shape or regions.count_axes(1) != 5:
        raise layer.error(f"needs regions of 5 numbers, image x1 y1 x2 y2, got shape {regions.shape}")
    return regions.shape[0]
