"""Kinds of files, recognised by their bytes, for errors about a file of the wrong kind.

Readers ask when a file is not what they read: to hear that it is a web page helps more than to hear that
field 13 has an unusable wire type.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.formats import wire
from pycaffe_lite.formats.wire import FIXED32, LENGTH, VARINT, WireError

_HEAD = 4096
_MOST_FIELDS = 1000


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        name: with its article, to stand after "is".
        advice: what somebody can do who has given it for another kind.
    """

    name: str
    advice: str


WEIGHTS = Kind(
    "a file of weights", "fine-tune from it with --weights, or name the .solverstate written with it"
)
STATE = Kind("a solver state", "resume from it with --snapshot, or name the .caffemodel written with it")
BLOB = Kind("a mean image or another single blob", "a mean goes into transform_param's mean_file")
HDF5 = Kind("an HDF5 file", "rename it so that its name ends in .h5")
KERAS = Kind("a Keras model", "convert its weights to Caffe's format first")
ARRAYS = Kind("an HDF5 file of data", "such files are for HDF5Data layers")

_UNPACK = "unpack it first"
_CONVERT = "convert it to Caffe's format first"
_NAMED = "make a .caffemodel of it with `pycaffe-lite convert`"
_LFS = Kind("a Git LFS pointer", "fetch the file itself with `git lfs pull`")
_PAGE = Kind("a web page", "the download went wrong: get the file itself")
_NET = Kind("a net's prototxt", "it describes a net and holds no weights")
_SOLVER = Kind("a solver's prototxt", "it says how to train and holds no weights")
_TEXT = Kind("a text file", "get the file itself")
_ZEROS = Kind("a file of zeros only", "a copy or download was interrupted: get it again")
_PICKLE = Kind("a Python pickle", _CONVERT)
_TORCH = Kind("a PyTorch file", _CONVERT)
_ONNX = Kind("an ONNX model", "make a net of it with `pycaffe-lite import`")
_PICTURE = Kind("a picture", "get the file itself")

# (offset, bytes, kind)
_SIGNATURES = [
    (0, b"\x1f\x8b", Kind("a gzip file", _UNPACK)),
    (0, b"BZh", Kind("a bzip2 file", _UNPACK)),
    (0, b"\xfd7zXZ\0", Kind("an xz file", _UNPACK)),
    (0, b"\x28\xb5\x2f\xfd", Kind("a Zstandard file", _UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", _UNPACK)),
    (0, b"Rar!", Kind("a RAR archive", _UNPACK)),
    (257, b"ustar", Kind("a tar archive", _UNPACK)),
    (0, b"\x93NUMPY", Kind("a NumPy array (.npy)", "a mean goes into Transformer.set_mean")),
    (0, b"\x89HDF\r\n\x1a\n", HDF5),
    (0, b"\x89PNG", _PICTURE),
    (0, b"\xff\xd8\xff", _PICTURE),
    (0, b"%PDF", Kind("a PDF document", "get the file itself")),
    (0, b"MATLAB 5.0", Kind("a MATLAB file", _CONVERT)),
    (16, b"\xde\xc0\xef\xbe", Kind("an LMDB database", "databases are for Data layers")),
]


def kind_of(data: npt.NDArray[np.uint8]) -> Kind | None:
    """The kind of a file with these bytes; None if nothing gives it away."""
    head = data[:_HEAD].tobytes()
    if head and not head.strip(b"\0") and not data.any():
        return _ZEROS
    for offset, signature, kind in _SIGNATURES:
        if head[offset:].startswith(signature):
            return kind
    return _archive_kind(head, data) or _text_kind(head) or _message_kind(wire.view_of(data))


def wrong_kind(path: object, data: npt.NDArray[np.uint8], wanted: Kind) -> str | None:
    """A message that a file is of another kind than wanted; None if it is not known to be."""
    kind = kind_of(data)
    return None if kind is None or kind == wanted else mistaken(path, kind, wanted)


def mistaken(path: object, kind: Kind, wanted: Kind) -> str:
    """The message that a file is of one kind and another was wanted."""
    is_caffes = kind in (WEIGHTS, STATE, _NET, _SOLVER)
    advice = "name a .binaryproto file" if wanted == BLOB and is_caffes else kind.advice
    return f"'{path}' is {kind.name}, not {wanted.name}; {advice}"


def _archive_kind(head: bytes, data: npt.NDArray[np.uint8]) -> Kind | None:
    if head.startswith(b"PK\x03\x04"):
        names = head + data[-_HEAD:].tobytes()  # its table of contents is at the end
        if b"/data.pkl" in names:
            return _TORCH
        if b"model.weights.h5" in names:
            return KERAS
        if b".npy" in names:
            return Kind("a NumPy archive (.npz)", _NAMED)
        return Kind("a zip archive", _UNPACK)
    if re.match(rb"\x80[\x02-\x05]", head):
        return _TORCH if b"torch" in head or b"\xfc\x9cF\xf9 j\xa8P\x19" in head else _PICKLE
    if head[8:10] in (b'{"', b"{ ") and int.from_bytes(head[:8], "little") < len(data):
        return Kind("a safetensors file", _NAMED)
    return None


def _text_kind(head: bytes) -> Kind | None:
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None
    if not text.strip() or re.search(r"[^\t\n\r\f\v\x1b\x20-\x7e\x85\xa0-\U0010ffff]", text):
        return None
    if text.startswith("version https://git-lfs"):
        return _LFS
    if re.match(r"\s*<(!doctype|html|head|body|!--|\?xml)", text, re.IGNORECASE):
        return _PAGE
    if re.search(r"^\s*(layers?\s*:?\s*\{|(name|input|input_dim)\s*:)", text, re.MULTILINE):
        return _NET
    if re.search(r"\b(base_lr|max_iter|lr_policy|(train_)?net)\s*:", text):
        return _SOLVER
    return _TEXT


def _message_kind(buffer: wire.Bytes) -> Kind | None:
    """The kind of a protocol buffers message, by the numbers and wire types of its fields."""
    seen: set[tuple[int, int]] = set()
    position = 0
    try:
        for _ in range(_MOST_FIELDS):
            if position >= len(buffer):
                break
            field = wire.read_field(buffer, position, len(buffer))
            seen.add((field.number, field.wire_type))
            position = field.end
    except WireError:  # cut short, or not a message at all
        if len(seen) < 2:
            return None
    if (1, VARINT) in seen:
        if (2, VARINT) in seen:
            return BLOB
        if (7, LENGTH) in seen:
            return _ONNX
        return STATE if {(2, LENGTH), (3, LENGTH)} & seen else None
    if (5, LENGTH) in seen or (5, FIXED32) in seen:
        return BLOB if (7, LENGTH) in seen else None
    return WEIGHTS if (100, LENGTH) in seen or {(1, LENGTH), (2, LENGTH)} <= seen else None
