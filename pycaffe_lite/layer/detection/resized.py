"""Boxes carried over between a picture and what `resize_param` makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.proto import caffe_pb2

ResizeParameter = caffe_pb2.ResizeParameter


def check_resize(layer: Layer[Any], resize: caffe_pb2.ResizeParameter | None) -> None:
    """Makes sure that boxes can be carried back.

    Raises:
        LayerError: a resize_param lacks its height or width.
    """
    if resize is not None and not (resize.height and resize.width):
        got = f"{resize.height} and {resize.width}"
        raise layer.error(f"needs height and width above 0 in resize_param, got {got}")


def in_picture(boxes: Array, height: int, width: int, resize: caffe_pb2.ResizeParameter | None) -> Array:
    """Boxes in the pixels of the picture that a net saw resized.

    Args:
        boxes: (count, 4), relative to what the net saw.
        height, width: of the picture. resize: how it was resized; None: it was not, or both ways alike.

    Returns:
        (count, 4), clipped to the picture. A box that lies wholly in the padding is taken for one of a
        picture without padding, as in the fork.

    Source: weiliu89/caffe src/caffe/util/bbox_util.cpp, OutputBBox
    """
    size = np.array([width, height] * 2, float)
    if resize is not None and resize.resize_mode == ResizeParameter.FIT_LARGE_SIZE_AND_PAD:
        boxes = _without_padding(boxes, width / height, resize)
    scale, limit = size, np.ones(4)
    if resize is not None and resize.resize_mode == ResizeParameter.FIT_SMALL_SIZE:
        given = np.array([resize.width_scale, resize.height_scale] * 2, float)
        if given.all():
            scale, limit = given, size / given
    scaled: Array = boxes.clip(0, limit) * scale
    return scaled


def _without_padding(boxes: Array, aspect: float, resize: caffe_pb2.ResizeParameter) -> Array:
    """Boxes relative to the picture of this aspect ratio, from those relative to the padded one."""
    left = top = 0.0
    if aspect > resize.width / resize.height:
        top = (resize.height - resize.width / aspect) / 2 / resize.height
    else:
        left = (resize.width - resize.height * aspect) / 2 / resize.width
    start = np.array([left, top])
    end = 1 - start
    is_outside = np.hstack([boxes[:, :2] >= end, boxes[:, 2:] <= start]).any(axis=1, keepdims=True)
    moved = (boxes - np.tile(start, 2)) / np.tile(end - start, 2)
    relative: Array = np.where(is_outside, boxes, moved)
    return relative
