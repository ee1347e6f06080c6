"""MATLAB's files of version 5 (.mat), written."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from pycaffe_lite.blob import Array

# Numbers of the format: of kinds of elements, and of classes of arrays.
_INT8, _INT32, _UINT32, _MATRIX = 1, 5, 6, 14
_KINDS = {np.dtype(np.float32): (7, 7), np.dtype(np.float64): (9, 6)}  # element, class


def mat_parts(name: str, values: Array) -> Iterator[bytes]:
    """The bytes of a file with one array, not compressed.

    MATLAB counts along the first axis first, so its array has the axes the other way round: values of shape
    (N, C, H, W) are W x H x C x N there.

    Args:
        name: of the array. values: float32 or float64, of 2 axes at least.

    Source: "MAT-File Format", The MathWorks
    """
    yield (
        b"MATLAB 5.0 MAT-file, written by pycaffe-lite".ljust(116)
        + bytes(8)
        + struct.pack("<H", 0x100)
        + b"IM"
    )
    kind, array_class = _KINDS[values.dtype]
    data = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    head = (
        _element(_UINT32, struct.pack("<II", array_class, 0))
        + _element(_INT32, struct.pack(f"<{values.ndim}i", *values.shape[::-1]))
        + _element(_INT8, name.encode("ascii"))
    )
    padding = -data.nbytes % 8
    yield struct.pack("<II", _MATRIX, len(head) + 8 + data.nbytes + padding)
    yield head
    yield struct.pack("<II", kind, data.nbytes)
    yield data.tobytes()
    yield bytes(padding)


def _element(kind: int, data: bytes) -> bytes:
    """Data with their kind and size, padded to 8 bytes."""
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)
