"""Single blobs in files, .binaryproto: the mean images that Caffe subtracts."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.errors import DataError
from pycaffe_lite.formats import kinds, wire
from pycaffe_lite.formats.atomic import StrPath, atomic_write, read_bytes
from pycaffe_lite.formats.model import Array
from pycaffe_lite.formats.wire import WireError
from pycaffe_lite.formats.wireblob import legacy_parts, read_blob, write_part

# Files that hold arrays in other formats, by their first bytes.
_ARRAYS = {b"\x93NUMPY": "a NumPy file", b"\x89HDF": "an HDF5 file"}


def read(path: StrPath, what: str = "means") -> Array:
    """Reads a BlobProto file: a mean of shape (1, C, H, W), or any blob in the shape it states.

    Args:
        path: of the file.
        what: such files hold, for the error if it is a file of NumPy's or an HDF5 file.

    Returns:
        A fresh float32 array; float64 if the file holds `double_data`.

    Raises:
        FileLookupError: the file is not there.
        DataError: it is truncated, or of another kind; the message names the file and the place.
    """
    data = read_bytes(path, error=DataError)
    if not len(data):
        raise DataError(f"'{path}' is empty")
    for signature, kind in _ARRAYS.items():
        if data[: len(signature)].tobytes() == signature:
            raise DataError(
                f"'{path}' is {kind}, Caffe's {what} are .binaryproto: convert it by "
                "pycaffe_lite.formats.binaryproto.write"
            )
    try:
        blob = read_blob(wire.view_of(data), 0, len(data))
    except WireError as problem:
        wrong = kinds.wrong_kind(path, data, kinds.BLOB)
        raise DataError(wrong or f"'{path}' is truncated or not a .binaryproto: {problem}") from None
    if not blob.data.size and (wrong := kinds.wrong_kind(path, data, kinds.BLOB)):
        raise DataError(wrong)
    return np.array(blob.data, blob.data.dtype.newbyteorder("="))


def write(path: StrPath, values: Array) -> None:
    """Writes an array as a BlobProto file, as Caffe's compute_image_mean does; whole or not at all.

    Args:
        path: of the file.
        values: of at most four axes, stored as num, channels, height and width.

    Raises:
        DataError: more than four axes, or the file cannot be written.
    """
    if values.ndim > 4:
        raise DataError(f"cannot write '{path}': a mean has at most 4 axes, got shape {values.shape}")
    with atomic_write(path, error=DataError) as file:
        for part in legacy_parts(values):
            write_part(file, part)
