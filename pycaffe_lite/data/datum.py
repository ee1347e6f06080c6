"""Datum messages: one record of a database, an image with its label."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image
from pycaffe_lite.errors import DataError
from pycaffe_lite.formats import wire
from pycaffe_lite.kernels.datum_fields import encoded_file

Values = npt.NDArray[np.uint8] | npt.NDArray[np.float32]

# Field numbers of Datum.
_CHANNELS, _HEIGHT, _WIDTH, _DATA, _LABEL, _FLOAT_DATA, _ENCODED = range(1, 8)
_LABEL_TAG = _LABEL << 3 | wire.VARINT
# `encoded: false`, with which Caffe's convert_imageset ends its messages.
_NOT_ENCODED = wire.varint_field(_ENCODED, 0)
_FLOATS = np.dtype("<f4")
# Up to here copying a message costs less than looking at it in Python.
_SMALL_BYTES = 1 << 14


class Datum(NamedTuple):
    """A decoded record.

    Attributes:
        values: (C, H, W) uint8 or float32, a view of the message where that is possible.
        label: the class.
        encoded: whether the record held an image file rather than pixels.
        is_cut: whether that file was cut off, so that the lower part is missing.
    """

    values: Values
    label: int
    encoded: bool
    is_cut: bool = False


class _Beginning(NamedTuple):
    """How a message began: the bytes before its pixels, where these end, and their shape."""

    head: bytes
    end: int
    shape: tuple[int, int, int]


class DatumReader:
    """Reads Datum messages out of their bytes.

    The messages of one database begin alike: sizes, then the length of the pixels. The reader remembers the
    last beginning, and what it means, and walks the fields of a message only where it begins otherwise.
    Several threads may use one reader.

    Args:
        color: how encoded images are decoded: True: colour, False: grey, None: as they are.
    """

    def __init__(self, color: bool | None = None) -> None:
        self.color = color
        self._last = _Beginning(b"", 0, (0, 0, 0))

    @property
    def expects_small(self) -> bool:
        """Whether messages like the last are worth trying with `read_alike`."""
        return 0 < self._last.end <= _SMALL_BYTES

    def read(self, message: bytes) -> Datum:
        """Reads one message.

        Raises:
            DataError: the bytes are not a Datum, or do not hold the values that they state.
        """
        head, end, shape = self._last
        start = len(head)
        if start and len(message) > end and message.startswith(head):
            label = _trailing_label(message[end:])
            if label is not None:
                values = np.frombuffer(message, np.uint8, end - start, start)
                return Datum(values.reshape(shape), label, False)
        found = np.empty(3, np.int64)
        if encoded_file(np.frombuffer(message, np.uint8), found):
            start, end, number = found.tolist()
            pixels, is_cut = image.decode(message[start:end], self.color, packed=False, from_memory=True)
            return Datum(pixels.transpose(2, 0, 1), number, True, is_cut)
        try:
            return self._walk(message, memoryview(message))
        except wire.WireError as error:
            raise DataError(f"not a Datum message: {error}") from None

    def read_alike(self, messages: list[bytes]) -> tuple[Values, npt.NDArray[np.uint8]] | None:
        """Reads small messages all at once, where all are alike: a few calls instead of a few for each.

        Returns:
            Values, (N, C, H, W), and labels, (N,); None where the messages are large, or begin otherwise than
            the last that was read, or hold other things behind their pixels.
        """
        head, end, shape = self._last
        start, size = len(head), len(messages[0])
        if not self.expects_small or size - end not in (2, 4):
            return None
        if any(len(message) != size for message in messages):
            return None
        table = np.frombuffer(b"".join(messages), np.uint8).reshape(len(messages), size)
        labels = table[:, end + 1]
        alike = (
            (table[:, :start] == np.frombuffer(head, np.uint8)).all()
            and (table[:, end] == _LABEL_TAG).all()
            and labels.max() < 0x80
            and (size - end == 2 or (table[:, end + 2 :] == list(_NOT_ENCODED)).all())
        )
        return (table[:, start:end].reshape(len(messages), *shape), labels) if alike else None

    def _walk(self, message: bytes, view: wire.Bytes) -> Datum:
        sizes = {_CHANNELS: 0, _HEIGHT: 0, _WIDTH: 0, _LABEL: 0, _ENCODED: 0}
        data: tuple[int, int] | None = None
        floats: list[npt.NDArray[np.floating]] = []
        position, size = 0, len(message)
        alike = True
        while position < size:
            field = wire.read_field(view, position, size)
            after = field.end
            if field.number in sizes and field.wire_type == wire.VARINT:
                sizes[field.number] = wire.signed(field.value, 32)
                alike &= data is None or field.number in (_LABEL, _ENCODED)
            elif field.number == _DATA and field.wire_type == wire.LENGTH:
                data = field.start, field.end
            elif field.number == _FLOAT_DATA:
                part, after = wire.read_floats(view, position, size, field, _FLOATS)
                floats.append(part)
            position = after
        shape = (sizes[_CHANNELS], sizes[_HEIGHT], sizes[_WIDTH])
        if sizes[_ENCODED]:
            start, end = data or (0, 0)
            pixels, is_cut = image.decode(message[start:end], self.color, packed=False, from_memory=True)
            return Datum(pixels.transpose(2, 0, 1), sizes[_LABEL], True, is_cut)
        if data is not None and data[0] < data[1]:
            start, end = data
            values: Values = _shaped(np.frombuffer(message, np.uint8, end - start, start), shape)
            if alike and not floats:
                self._last = _Beginning(message[:start], end, shape)
        else:
            values = _shaped(np.concatenate([np.empty(0, np.float32), *floats]).astype(np.float32), shape)
        return Datum(values, sizes[_LABEL], False)


def _trailing_label(tail: bytes) -> int | None:
    """The label, where it and, at most, `encoded: false` stand behind the pixels."""
    size = len(tail)
    if size > 3 and tail.endswith(_NOT_ENCODED):
        size -= 2
    if size == 2 and tail[0] == _LABEL_TAG and tail[1] < 0x80:
        return tail[1]
    if size == 3 and tail[0] == _LABEL_TAG and tail[1] >= 0x80 > tail[2]:
        return tail[1] & 0x7F | tail[2] << 7
    return None


def _shaped(values: Values, shape: tuple[int, int, int]) -> Values:
    if min(shape) < 1 or values.size != shape[0] * shape[1] * shape[2]:
        raise DataError(f"says shape {shape}, but holds {values.size} values")
    return values.reshape(shape)
