"""LevelDB's tables: sorted files of blocks, plain or packed by Snappy.

    table    data blocks, blocks about the table (filters), index block, footer (48 bytes): handles of the
             block about the others and of the index block, a magic number
    handle   offset and size of a block, varints; behind a block, its kind (1 byte) and checksum (4)
    block    entries, then the offsets of those with a whole key (4 bytes each) and their number (4)
    entry    three varints: bytes of the key that it shares with the one before, further bytes of the key,
             bytes of the value; those of the key, the value

The keys are internal ones: the user's key, then 8 bytes: the number of the write, times 256, plus 1 for a
value or 0 for a deletion. In the index, a key is that of a block's end or behind it, a value a handle.

Source: doc/table_format.md of google/leveldb
"""

from __future__ import annotations

import os
import struct
import weakref
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pycaffe_lite.data.leveldb_log import AheadFile, LevelDbError, masked
from pycaffe_lite.formats import wire
from pycaffe_lite.kernels.crc32c import crc32c
from pycaffe_lite.kernels.snappy import decompress

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_TRAILER = struct.Struct("<BI")
_TAG = struct.Struct("<Q")
_PLAIN, _SNAPPY = 0, 1


class Entry(NamedTuple):
    """An entry of a table or log.

    Attributes:
        key: the user's.
        age: its tag, negative: the lower, the later it was written.
        value: None for a deletion; of a log, where the value lies.
    """

    key: bytes
    age: int
    value: bytes | LogValue | None


class LogValue(NamedTuple):
    """Where a value lies: the number of the record among those of all logs, and its place in the content."""

    record: int
    start: int
    end: int


class Table:
    """The entries of a table's file.

    Args:
        file: its path.

    Raises:
        LevelDbError: it is damaged. OSError: it cannot be read.
    """

    def __init__(self, file: Path) -> None:
        descriptor = os.open(file, os.O_RDONLY)
        # Not at the end of the process: threads may still be reading then.
        weakref.finalize(self, os.close, descriptor).atexit = False
        self._file = AheadFile(descriptor)
        self._name = file.name
        self._size = os.fstat(descriptor).st_size
        footer = os.pread(descriptor, _FOOTER_BYTES, max(self._size - _FOOTER_BYTES, 0))
        if len(footer) < _FOOTER_BYTES or _TAG.unpack_from(footer, _FOOTER_BYTES - 8)[0] != _MAGIC:
            raise LevelDbError(f"{file.name} is damaged or cut off; copy or make it again")
        try:
            view = memoryview(footer)
            position = 0
            for _ in range(2):  # of the block about others, which is not needed
                _, position = wire.read_varint(view, position, _FOOTER_BYTES)
            index = self._block(*self._handle(view, position))
            self._keys = [key for key, _, _ in index]
            self._handles = [self._handle(memoryview(handle), 0) for _, _, handle in index]
        except wire.WireError as error:
            raise self._damaged(self._size - _FOOTER_BYTES) from error

    def entries(self, key: bytes) -> Iterator[Entry]:
        """The entries from a key on.

        Raises:
            LevelDbError: a block is damaged. OSError: it cannot be read.
        """
        first = bisect_left(self._keys, key)
        for i in range(first, len(self._handles)):
            for user_key, age, value in self._block(*self._handles[i]):
                if i > first or user_key >= key:
                    yield Entry(user_key, age, value if age & 1 else None)

    def _handle(self, buffer: memoryview, position: int) -> tuple[int, int]:
        offset, position = wire.read_varint(buffer, position, len(buffer))
        size, _ = wire.read_varint(buffer, position, len(buffer))
        if offset + size + _TRAILER.size > self._size:
            raise wire.WireError(position, "a block lies behind the end")
        return offset, size

    def _block(self, offset: int, size: int) -> list[tuple[bytes, int, bytes]]:
        """The entries of a block: user's key, age, value."""
        stored = self._file.read(offset, size + _TRAILER.size)
        if len(stored) != size + _TRAILER.size:
            raise self._damaged(offset)
        kind, crc = _TRAILER.unpack_from(stored, size)
        if masked(crc32c(memoryview(stored)[: size + 1])) != crc:
            raise self._damaged(offset)
        content: bytes | None = stored[:size]
        if kind not in (_PLAIN, _SNAPPY):
            raise LevelDbError(
                f"{self._name} is packed in the way {kind}, and only plain blocks and Snappy's are read; "
                "convert it to an LMDB"
            )
        if kind == _SNAPPY:
            content = decompress(stored[:size])
        try:
            if content is None:
                raise wire.WireError(0, "not Snappy's")
            return list(_entries(content))
        except (wire.WireError, struct.error):
            raise self._damaged(offset) from None

    def _damaged(self, offset: int) -> LevelDbError:
        return LevelDbError(f"{self._name} is damaged at byte {offset}; copy or make it again")


def _entries(block: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """The entries of a block's content."""
    (restarts,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 - 4 * restarts
    view = memoryview(block)
    position, key = 0, b""
    read_varint = wire.read_varint
    while position < end:
        shared, further, size = block[position : position + 3].ljust(3, b"\x80")
        if shared | further | size < 0x80:  # as most are
            position += 3
        else:
            shared, position = read_varint(view, position, end)
            further, position = read_varint(view, position, end)
            size, position = read_varint(view, position, end)
        middle = position + further
        after = middle + size
        if shared > len(key) or shared + further < _TAG.size or after > end:
            raise wire.WireError(position, "an entry runs past the end")
        key = key[:shared] + block[position:middle]
        (tag,) = _TAG.unpack_from(key, len(key) - _TAG.size)
        yield key[: -_TAG.size], -tag, block[middle:after]
        position = after
    if position != end:
        raise wire.WireError(position, "an entry runs into the offsets")
