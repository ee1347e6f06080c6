"""What a database holds: kinds, shapes and labels of its records."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pycaffe_lite.data.database import Reader, first_records
from pycaffe_lite.data.lmdb_pages import key_text
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2

# Beginnings of picture files, their names and the endings of their files.
_MAGIC = {
    b"\xff\xd8\xff": ("JPEG", "jpg"),
    b"\x89PNG": ("PNG", "png"),
    b"RIFF": ("WebP", "webp"),
    b"GIF8": ("GIF", "gif"),
    b"BM": ("BMP", "bmp"),
    b"II*\0": ("TIFF", "tif"),
    b"MM\0*": ("TIFF", "tif"),
}
_UNKNOWN = ("unknown", "bin")


@dataclass
class Survey:
    """What all records of a database are like.

    Attributes:
        records: how many there are. size: bytes of all values.
        first_key, last_key: in the order of the keys.
        shapes: (C, H, W) → number of records. kinds: "bytes", "floats", "JPEG", ... → number of records.
        labels: label → number of records.
    """

    records: int = 0
    size: int = 0
    first_key: bytes = b""
    last_key: bytes = b""
    shapes: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)


def survey(reader: Reader, records: int, done: Callable[[], None]) -> Survey:
    """Looks at all records; encoded pictures are not unpacked.

    Args:
        reader: at the first record. records: how many there are. done: is called after each.

    Raises:
        DataError: a record is no Datum, or cannot be read.
    """
    found = Survey(records, first_key=reader.key)
    for key, value in first_records(reader, records):
        datum = datum_message(reader, key, value)
        found.size += len(value)
        found.last_key = key
        found.labels[datum.label] += 1
        kind, shape = _kind_and_shape(datum)
        found.kinds[kind] += 1
        found.shapes[shape] += 1
        done()
    return found


def datum_message(reader: Reader, key: bytes, value: bytes) -> caffe_pb2.Datum:
    """A record's message. Raises DataError."""
    try:
        return caffe_pb2.Datum.FromString(value)
    except Exception as error:  # protobuf's class of errors has had several places
        raise DataError(
            f"record '{key_text(key)}' of '{reader.path}': not a Datum message: {error}"
        ) from None


def _kind_and_shape(datum: caffe_pb2.Datum) -> tuple[str, tuple[int, int, int]]:
    """What a record is, and its shape; zeros where that is not known."""
    if datum.encoded:
        return file_kind(datum.data)[0], _shape_of_file(datum.data)
    kind = "bytes" if datum.data else "floats" if datum.float_data else "empty"
    return kind, (datum.channels, datum.height, datum.width)


def file_kind(content: bytes) -> tuple[str, str]:
    """What kind of picture file some bytes are, and the ending of such files."""
    return next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), _UNKNOWN)


def _shape_of_file(content: bytes) -> tuple[int, int, int]:
    """(C, H, W) as the beginning of a picture file says; zeros where Pillow is missing or cannot tell."""
    try:
        from PIL import Image
    except ImportError:
        return 0, 0, 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels: none is unpacked
            picture = Image.open(io.BytesIO(content))
            return len(picture.getbands()), picture.height, picture.width
    except Exception:  # what Pillow stumbles over in a damaged file may be anything
        return 0, 0, 0
