"""Boxes carried over between a picture and what `resize_param` makes of it."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.proto import caffe_pb2

ResizeParameter = caffe_pb2.ResizeParameter


def in_picture(boxes: Array, height: int, width: int, resize: caffe_pb2.ResizeParameter | None) -> Array:
    """Boxes in the pixels of the picture that a net saw resized.

    Args:
        boxes: (count, 4), relative to what the net saw.
        height, width: of the picture. resize: how it was resized; None: it was not, or both ways alike.

    Returns:
        (count, 4), clipped to the picture.

    Source: weiliu89/caffe src/caffe/util/bbox_util.cpp, OutputBBox
    """
    left = top = 0.0
    if resize is not None and resize.resize_mode == ResizeParameter.FIT_LARGE_SIZE_AND_PAD:
        aspect, net_aspect = width / height, resize.width / resize.height
        if aspect > net_aspect:
            top = (resize.height - resize.width / aspect) / 2 / resize.height
        else:
            left = (resize.width - resize.height * aspect) / 2 / resize.width
    start, size = np.array([left, top] * 2), np.array([1 - 2 * left, 1 - 2 * top] * 2)
    relative = ((boxes - start) / size).clip(0, 1)
    scaled: Array = relative * np.array([width, height] * 2)
    return scaled
