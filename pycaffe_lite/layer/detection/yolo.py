"""What YOLO's layers have in common: their bottoms and their options, in the form that kernels take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import yolo
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.detection.ground_truth import Indices

BOX_AND_OBJECT = 5  # planes of an anchor besides those of the classes


def anchors_of(layer: Layer[Any], biases: Sequence[float], scale: float = 1) -> Array:
    """Anchors, (B, 2), width and height, as a layer's `biases` list them one after another.

    Args:
        layer: of whom to speak. biases: the list. scale: what to divide by: the size of a cell.

    Raises:
        LayerError: there is none, or a number without its partner.
    """
    if not biases or len(biases) % 2:
        raise layer.error(f"needs biases, a width and a height for each anchor, got {len(biases)} numbers")
    if not scale > 0:
        raise layer.error(f"needs anchors_scale of 1 or more, got {scale:g}")
    return np.array(biases, np.float64).reshape(-1, 2) / scale


def check_mask(layer: Layer[Any], mask: Indices, anchors: Array) -> None:
    """Raises LayerError unless each number of a mask is that of an anchor."""
    if len(mask) and mask.max() >= len(anchors):
        raise layer.error(f"needs mask numbers below {len(anchors)}, one for each anchor, got {mask.max()}")


def check_head(layer: Layer[Any], blob: Blob, anchors: int, planes: int) -> None:
    """Raises LayerError unless a blob is of 4 axes, with so many planes for each anchor."""
    if len(blob.shape) != 4 or blob.shape[1] != anchors * planes:
        raise layer.error(
            f"needs a bottom of 4 axes with {anchors * planes} channels, {planes} for each of {anchors} "
            f"anchors, got shape {blob.shape}"
        )


def objects_of(layer: Layer[Any], blob: Blob, classes: int) -> Array:
    """The rows of a blob of labels, (N, T, 5).

    Nets are built, as in their forks, whatever the labels' shape: many are looked at without their data.

    Raises:
        LayerError: the rows are not of 5 numbers, an object's class is none of 0 to classes - 1, or its
            centre lies outside of the picture.
    """
    if not blob.shape or blob.count_axes(1) % 5:
        raise layer.error(f"needs labels of 5 numbers a row, class x y w h, got shape {blob.shape}")
    truth = blob.data.reshape(blob.shape[0], -1, 5)
    image, row = yolo.wrong_object(truth, classes)
    if image >= 0:
        label, x, y = truth[image, row, :3]
        raise layer.error(
            f"needs labels of classes 0 to {classes - 1} with centres from 0 up to 1, got class {label:g} at "
            f"{x:g}, {y:g} in row {row} of image {image}"
        )
    return truth
