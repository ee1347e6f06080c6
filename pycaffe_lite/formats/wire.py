"""Protocol buffers' wire format, walked in place: no message object, no list of Python numbers.

protobuf itself stops at 2 GiB and may copy a weight several times; here a run of packed floats is a view of
the file's bytes. A message is a sequence of fields; a field is a tag (number and wire type) and a value.

Source: the "Encoding" chapter of the protocol buffers documentation
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import FileIO
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = memoryview

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
_MAX_VARINT_BYTES = 10


class WireError(ValueError):
    """Bytes that are not what a message may hold. `position` counts from the start of the file."""

    def __init__(self, position: int, problem: str) -> None:
        super().__init__(f"at byte {position}: {problem}")
        self.position = position
        self.problem = problem


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number, wire_type: from its tag.
        value: of a varint, unsigned; 0 otherwise.
        start, end: of its payload in the buffer; `end` is where the next field starts.
    """

    number: int
    wire_type: int
    value: int
    start: int
    end: int


def view_of(data: npt.NDArray[np.uint8] | bytes) -> Bytes:
    """The buffer type that the functions here walk."""
    return data.data if isinstance(data, np.ndarray) else memoryview(data)


def read_varint(buffer: Bytes, pos: int, end: int) -> tuple[int, int]:
    """Reads an unsigned varint; returns it and the position behind it."""
    value = 0
    for i in range(_MAX_VARINT_BYTES):
        if pos + i >= end:
            raise WireError(pos, "a number runs past the end")
        byte = buffer[pos + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, pos + i + 1
    raise WireError(pos, "a number has more than 10 bytes")


def read_field(buffer: Bytes, pos: int, end: int) -> Field:
    """Reads the field at `pos` of a message that ends at `end`.

    Raises:
        WireError: an impossible tag, or a payload that runs past the end.
    """
    tag, start = read_varint(buffer, pos, end)
    number, wire_type = tag >> 3, tag & 7
    if number == 0 or number >= 1 << 29:
        raise WireError(pos, f"field number {number} is impossible")
    if wire_type == VARINT:
        value, after = read_varint(buffer, start, end)
        return Field(number, wire_type, value, start, after)
    if wire_type == LENGTH:
        size, start = read_varint(buffer, start, end)
    elif wire_type in _FIXED_SIZES:
        size = _FIXED_SIZES[wire_type]
    else:
        raise WireError(pos, f"field {number} has the unusable wire type {wire_type}")
    if size > end - start:
        raise WireError(pos, f"field {number} needs {size} bytes, {end - start} are left")
    return Field(number, wire_type, 0, start, start + size)


def fields(buffer: Bytes, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in buffer[start:end], in their order."""
    while start < end:
        field = read_field(buffer, start, end)
        yield field
        start = field.end


def fields_of_file(file: BinaryIO | FileIO, at_most: int) -> Iterator[Field]:
    """The fields of a message that is a whole file, in their order; their payloads are passed over unread.

    Raises:
        WireError: an impossible field, or more than `at_most`.
    """
    size = file.seek(0, os.SEEK_END)
    position = 0
    for _ in range(at_most):
        if position >= size:
            return
        file.seek(position)
        head = file.read(2 * _MAX_VARINT_BYTES)  # the tag, and the number or the size behind it
        if len(head) < min(2 * _MAX_VARINT_BYTES, size - position):
            raise WireError(position, "the file became shorter")
        try:
            field = read_field(memoryview(head), 0, size - position)
        except WireError as error:
            raise WireError(position, error.problem) from None
        yield field._replace(start=position + field.start, end=position + field.end)
        position += field.end
    if position < size:
        raise WireError(position, f"more than {at_most} fields")


def text(buffer: Bytes, field: Field) -> str:
    """The field's payload as text; what is not UTF-8 shows as replacement characters."""
    return bytes(buffer[field.start : field.end]).decode("utf-8", "replace")


def signed(value: int, bits: int) -> int:
    """A varint's value read as a two's complement number of so many bits (int32 and int64 fields)."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def read_integers(buffer: Bytes, field: Field, *, at_most: int) -> list[int]:
    """The values of a repeated int64 field, packed or not.

    Raises:
        WireError: there are more than `at_most`.
    """
    if field.wire_type == VARINT:
        return [signed(field.value, 64)]
    values: list[int] = []
    pos = field.start
    while pos < field.end:
        if len(values) == at_most:
            raise WireError(field.start, f"more than {at_most} numbers")
        value, pos = read_varint(buffer, pos, field.end)
        values.append(signed(value, 64))
    return values


def read_floats(
    buffer: Bytes, pos: int, end: int, field: Field, dtype: np.dtype
) -> tuple[npt.NDArray[np.floating], int]:
    """Reads a piece of a repeated float or double field: one packed block, or a run of unpacked values.

    Args:
        buffer: holds the message.
        pos: where `field` starts, with its tag.
        end: of the message.
        field: the block, or the first value of the run.
        dtype: little-endian float32 or float64.

    Returns:
        The values, a view of the buffer (it may be strided and unaligned), and the position behind them.
    """
    if field.wire_type == LENGTH:
        size = field.end - field.start
        if size % dtype.itemsize:
            raise WireError(pos, f"{size} bytes are no whole number of {dtype.name} values")
        return np.frombuffer(buffer, dtype, size // dtype.itemsize, field.start), field.end
    if field.end - field.start != dtype.itemsize:
        raise WireError(pos, f"field {field.number} holds no {dtype.name} values")
    if field.start != pos + 1:  # a tag written longer than needed: legal, and never in a run
        return np.frombuffer(buffer, dtype, 1, field.start), field.end
    # Old files repeat the tag before each value: look at the rest as records and count those with this tag.
    record = np.dtype([("tag", "u1"), ("value", dtype)])
    records = np.frombuffer(buffer, record, (end - pos) // record.itemsize, pos)
    count = _count_leading(records["tag"], buffer[pos])
    return records["value"][:count], pos + count * record.itemsize


def _count_leading(tags: npt.NDArray[np.uint8], tag: int) -> int:
    """How many of the first tags equal `tag`; looks in growing pieces, so short runs cost little."""
    done, piece = 0, 64
    while done < len(tags):
        different = np.flatnonzero(tags[done : done + piece] != tag)
        if len(different):
            return done + int(different[0])
        done += min(piece, len(tags) - done)
        piece = min(2 * piece, 1 << 20)
    return done


# ------------------------------------------------------------------------------------------------ writing


def varint(value: int) -> bytes:
    """The bytes of a varint; a negative number takes ten, as int32 and int64 fields have it."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number: int, wire_type: int) -> bytes:
    """The bytes that open a field."""
    return varint(number << 3 | wire_type)


def varint_field(number: int, value: int) -> bytes:
    """A whole integer field."""
    return tag(number, VARINT) + varint(value)


def length_head(number: int, size: int) -> bytes:
    """What comes before the `size` bytes of a length-delimited field."""
    return tag(number, LENGTH) + varint(size)


def bytes_field(number: int, payload: bytes) -> bytes:
    """A whole length-delimited field."""
    return length_head(number, len(payload)) + payload
