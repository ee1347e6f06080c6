"""Arrays from BlobProto messages, as they stand in prototxts and .binaryproto files."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import WeightsError
from pycaffe_lite.proto import caffe_pb2

LEGACY_DIMS = ("num", "channels", "height", "width")


def shape_of(blob: caffe_pb2.BlobProto) -> tuple[int, ...]:
    """The shape that the message states: its `shape`, or the four dimensions of old files."""
    if any(blob.HasField(name) for name in LEGACY_DIMS):
        return blob.num, blob.channels, blob.height, blob.width
    return tuple(blob.shape.dim)


def array_of(blob: caffe_pb2.BlobProto) -> npt.NDArray[np.floating]:
    """The message's values in its shape: float64 if it holds `double_data`, else float32.

    Raises:
        WeightsError: the number of values is not the shape's.
    """
    values = np.array(blob.double_data, np.float64) if blob.double_data else np.array(blob.data, np.float32)
    shape = shape_of(blob)
    if values.size != math.prod(shape):
        raise WeightsError(f"a blob of shape {shape} holds {values.size} values, needs {math.prod(shape)}")
    return values.reshape(shape)
