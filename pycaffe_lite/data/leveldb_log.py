"""LevelDB's log files: a row of records, cut into blocks, each piece with its checksum.

A block has 32 KiB. A record lies in one piece (full) or in several (first, middle, last), none of which
reaches into another block; where fewer than 7 bytes are left of a block, they are zeros.

    piece  checksum (4 bytes), size of the payload (2), kind (1), payload

The checksum is a CRC-32C of kind and payload, rotated and with a constant added ("masked"). Numbers are
little-endian.

The MANIFEST is such a file, too.

Source: doc/log_format.md of google/leveldb
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from pycaffe_lite.formats import wire
from pycaffe_lite.kernels.crc32c import crc32c

_BLOCK_BYTES = 1 << 15
_BLOCKS_AT_ONCE = 32
_HEAD = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
# How much to read ahead, and what may lie between one value and the next.
_AHEAD_BYTES, _GAP_BYTES = 1 << 18, 1 << 12
BATCH_HEAD = struct.Struct("<QI")
_DELETION, VALUE = 0, 1


class LevelDbError(ValueError):
    """A file that is damaged, or of a kind that is not read: what follows "cannot read LevelDB 'x': "."""


def masked(crc: int) -> int:
    """A checksum as LevelDB stores it: sums of texts that hold sums are bad ones."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class AheadFile:
    """An open file from which more is read than asked for, where that is read from the front to the back.

    Args:
        descriptor: of the file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._start = 0
        self._bytes = b""

    def read(self, offset: int, size: int) -> bytes:
        """Some bytes, fewer where the file ends before. Raises OSError."""
        first = offset - self._start
        if not 0 <= first <= first + size <= len(self._bytes):
            is_following = 0 <= first <= len(self._bytes) + _GAP_BYTES
            wanted = max(size, _AHEAD_BYTES) if is_following else size
            self._start, self._bytes = offset, os.pread(self._descriptor, wanted, offset)
            first = 0
        return self._bytes[first : first + size]


class LogRecord(NamedTuple):
    """A record of a log.

    Attributes:
        content: its bytes.
        pieces: where these lie in the file: offset and length of each piece.
    """

    content: bytes
    pieces: tuple[tuple[int, int], ...]

    @property
    def end(self) -> int:
        """The offset behind its last piece."""
        return sum(self.pieces[-1])


def read_log(descriptor: int, name: str) -> Iterator[LogRecord]:
    """The records of a log.

    Args:
        descriptor: of the open file. name: of the file, for errors.

    Raises:
        LevelDbError: it is damaged, or ends in the middle of a record. OSError: it cannot be read.
    """
    parts: list[bytes] = []
    pieces: list[tuple[int, int]] = []
    for kind, offset, payload in _pieces(descriptor, name):
        if (kind in (_FULL, _FIRST)) == bool(parts):
            raise _damaged(name, offset)
        parts.append(payload)
        pieces.append((offset, len(payload)))
        if kind in (_FULL, _LAST):
            yield LogRecord(b"".join(parts), tuple(pieces))
            parts, pieces = [], []
    if parts:
        raise _cut_off(name)


def _pieces(descriptor: int, name: str) -> Iterator[tuple[int, int, bytes]]:
    """Kind, offset of the payload and payload of each piece of a log."""
    start = 0
    while blocks := os.pread(descriptor, _BLOCKS_AT_ONCE * _BLOCK_BYTES, start):
        for first in range(0, len(blocks), _BLOCK_BYTES):
            block = blocks[first : first + _BLOCK_BYTES]
            place = 0
            while place + _HEAD.size <= len(block):
                crc, size, kind = _HEAD.unpack_from(block, place)
                if not kind and not size:
                    break  # room that a writer had asked for ahead
                end = place + _HEAD.size + size
                if end > _BLOCK_BYTES or not _FULL <= kind <= _LAST:
                    raise _damaged(name, start + first + place)
                if end > len(block):
                    raise _cut_off(name)
                if masked(crc32c(memoryview(block)[place + _HEAD.size - 1 : end])) != crc:
                    raise _damaged(name, start + first + place)
                yield kind, start + first + place + _HEAD.size, block[place + _HEAD.size : end]
                place = end
            if any(block[place:]):
                raise _cut_off(name) if len(block) < _BLOCK_BYTES else _damaged(name, start + first + place)
        start += len(blocks)


def writes_of(content: bytes) -> Iterator[tuple[int, bytes, int, int]]:
    """The writes of a record of a database's log, which is a batch of them.

        batch   number of its first write (8 bytes), how many there are (4), the writes
        write   kind (1 byte), key, for a value the value; each a length (varint) and the bytes

    Yields:
        The write's number, its key, and where the value begins and ends; (0, -1) for a deletion.

    Raises:
        WireError: these are not the bytes of a batch.
    """
    size = len(content)
    if size < BATCH_HEAD.size:
        raise wire.WireError(0, "a batch without a head")
    first, count = BATCH_HEAD.unpack_from(content)
    view, position = memoryview(content), BATCH_HEAD.size
    for number in range(first, first + count):
        kind = content[position] if position < size else None
        start, end = span(view, position + 1, size)
        key = content[start:end]
        if kind == VALUE:
            start, end = span(view, end, size)
            yield number, key, start, end
        elif kind == _DELETION:
            yield number, key, 0, -1
        else:
            raise wire.WireError(position, "a write of another kind")
        position = end
    if position != size:
        raise wire.WireError(position, "more writes than it says")


def span(view: memoryview, position: int, size: int) -> tuple[int, int]:
    """Where a text lies whose length stands at a position. Raises WireError."""
    length, start = wire.read_varint(view, position, size)
    if start + length > size:
        raise wire.WireError(position, "a text runs past the end")
    return start, start + length


def _damaged(name: str, place: int) -> LevelDbError:
    return LevelDbError(f"{name} is damaged at byte {place}; copy or make it again")


def _cut_off(name: str) -> LevelDbError:
    return LevelDbError(
        f"{name} ends in the middle of a record: cut off, or its writer was stopped; copy or make it again"
    )


class LogWriter:
    """Writes the records of a log.

    Args:
        file: open for writing, at `size`.
        size: bytes of the log that are there already, all of them whole records.
    """

    def __init__(self, file: BinaryIO, size: int = 0) -> None:
        self._file = file
        self._used = size % _BLOCK_BYTES  # of the block

    def add(self, content: bytes) -> None:
        """Writes a record. Raises OSError."""
        rest = memoryview(content)
        is_first = True
        while is_first or rest:
            if _BLOCK_BYTES - self._used < _HEAD.size:
                self._file.write(bytes(_BLOCK_BYTES - self._used))
                self._used = 0
            room = _BLOCK_BYTES - self._used - _HEAD.size
            payload, rest = rest[:room], rest[room:]
            kind = (_LAST if not rest else _MIDDLE) if not is_first else (_FULL if not rest else _FIRST)
            crc = masked(crc32c(bytes([kind]) + payload))
            self._file.write(_HEAD.pack(crc, len(payload), kind) + payload)
            self._used += _HEAD.size + len(payload)
            is_first = False
