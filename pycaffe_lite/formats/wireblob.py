"""BlobProto on the wire: arrays from a file's bytes, and arrays straight into a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import MAX_AXES, MAX_COUNT
from pycaffe_lite.formats import wire
from pycaffe_lite.formats.model import Array, StoredBlob
from pycaffe_lite.formats.wire import WireError

# Fields of BlobProto and BlobShape.
_LEGACY_DIMS = (1, 2, 3, 4)  # num, channels, height, width
# Of clips of frames, in forks: C3D 1.0 has a length between channels and height, and the numbers of all that
# comes behind it are greater by one; video-caffe's length has a number of its own.
_C3D_WIDTH = 5
_C3D_DIMS = (*_LEGACY_DIMS, _C3D_WIDTH)
_VIDEO_LENGTH = 7777
_VIDEO_DIMS = (1, 2, _VIDEO_LENGTH, 3, 4)
_DATA, _DIFF, _SHAPE, _DOUBLE_DATA, _DOUBLE_DIFF = 5, 6, 7, 8, 9
_DIM = 1

_FLOAT: np.dtype = np.dtype("<f4")
_DOUBLE: np.dtype = np.dtype("<f8")
_DTYPES = {_DATA: _FLOAT, _DIFF: _FLOAT, _DOUBLE_DATA: _DOUBLE, _DOUBLE_DIFF: _DOUBLE}


def read_blob(buffer: wire.Bytes, start: int, end: int) -> StoredBlob:
    """Reads the BlobProto in buffer[start:end]; the arrays are views of the buffer if that is possible.

    Raises:
        WireError: it is not a BlobProto, or its values are not as many as its shape says.
    """
    legacy: dict[int, int] = {}
    legacy_dims: tuple[int, ...] = _LEGACY_DIMS
    dims: list[int] = []
    pieces: dict[int, list[Array]] = {number: [] for number in _DTYPES}
    pos = start
    while pos < end:
        field = wire.read_field(buffer, pos, end)
        after = field.end
        number = field.number - (legacy_dims is _C3D_DIMS)
        if field.wire_type == wire.VARINT:
            legacy_dims = {_C3D_WIDTH: _C3D_DIMS, _VIDEO_LENGTH: _VIDEO_DIMS}.get(field.number, legacy_dims)
            if field.number in legacy_dims:
                legacy[field.number] = wire.signed(field.value, 32)
        elif number in _DTYPES:
            values, after = wire.read_floats(buffer, pos, end, field, _DTYPES[number])
            pieces[number].append(values)
        elif number == _SHAPE and field.wire_type == wire.LENGTH:
            dims += _read_shape(buffer, field)
        pos = after
    shape = tuple(legacy.get(number, 0) for number in legacy_dims) if legacy else tuple(dims)
    _check_shape(shape, start)
    data = _join(pieces, _DOUBLE_DATA, _DATA)
    diff = _join(pieces, _DOUBLE_DIFF, _DIFF)
    for name, values in (("values", data), ("gradients", diff)):
        if values.size != math.prod(shape) and (values.size or values is data):
            raise WireError(start, f"a blob of shape {shape} holds {values.size} {name}")
    return StoredBlob(data.reshape(shape), diff.reshape(shape) if diff.size else None, bool(legacy))


def _read_shape(buffer: wire.Bytes, shape: wire.Field) -> list[int]:
    dims: list[int] = []
    for field in wire.fields(buffer, shape.start, shape.end):
        if field.number == _DIM and field.wire_type in (wire.VARINT, wire.LENGTH):
            dims += wire.read_integers(buffer, field, at_most=MAX_AXES)
    return dims


def _check_shape(shape: tuple[int, ...], position: int) -> None:
    if len(shape) > MAX_AXES:
        raise WireError(position, f"a blob has {len(shape)} axes, more than {MAX_AXES}")
    if any(not 0 <= n <= MAX_COUNT for n in shape) or math.prod(shape) > MAX_COUNT:
        raise WireError(position, f"a blob has the impossible shape {shape}")


def _join(pieces: dict[int, list[Array]], double: int, single: int) -> Array:
    """All values of a repeated field; the float64 ones if there are any, as Caffe prefers them."""
    parts = pieces[double] or pieces[single]
    if not parts:
        return np.empty(0, _FLOAT)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def blob_parts(number: int, data: Array, diff: Array | None = None) -> list[bytes | Array]:
    """A BlobProto as field `number`: the parts to write one after another, arrays as they are.

    float64 arrays become `double_data`, as Caffe does with its double nets.
    """
    dims = b"".join(wire.varint(n) for n in data.shape)
    shape = wire.bytes_field(_SHAPE, wire.bytes_field(_DIM, dims) if dims else b"")
    if data.dtype == np.float64:
        parts = [shape, *_packed(_DOUBLE_DATA, data, _DOUBLE), *_packed(_DOUBLE_DIFF, diff, _DOUBLE)]
    else:
        parts = [*_packed(_DATA, data, _FLOAT), *_packed(_DIFF, diff, _FLOAT), shape]
    return [wire.length_head(number, sum(size_of(part) for part in parts)), *parts]


def legacy_parts(values: Array) -> list[bytes | Array]:
    """A BlobProto as a message of its own, float32, with num, channels, height and width."""
    dims = (1,) * (len(_LEGACY_DIMS) - values.ndim) + values.shape
    head = b"".join(wire.varint_field(number, n) for number, n in zip(_LEGACY_DIMS, dims, strict=True))
    return [head, *_packed(_DATA, values, _FLOAT)]


def _packed(number: int, values: Array | None, dtype: np.dtype) -> Iterator[bytes | Array]:
    if values is not None and values.size:
        contiguous = np.ascontiguousarray(values, dtype)
        yield wire.length_head(number, contiguous.nbytes)
        yield contiguous


def size_of(part: bytes | Array) -> int:
    """The part's size in bytes."""
    return len(part) if isinstance(part, bytes) else part.nbytes


def write_part(file: BinaryIO, part: bytes | npt.NDArray[Any]) -> None:
    """Writes a part; an array goes straight from its memory."""
    file.write(part if isinstance(part, bytes) else part.data.cast("B"))
