"""The records of an LMDB as one transaction left them, read page by page."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

from pycaffe_lite.data.lmdb_pages import META_BYTES, LmdbError, LongValue, Pages, read_meta

# The branch pages on the way to a page, top first: the pages below each, and which of them was taken.
_Way = tuple[tuple[list[int], int], ...]


class Place(NamedTuple):
    """A leaf page: its number, and the way to it."""

    page: int
    way: _Way


class Records(NamedTuple):
    """The records of some leaf pages.

    Attributes:
        keys: in order.
        values: the values, or where `Snapshot.long_value` finds them.
        has_long: whether there are such.
        next: the leaf page behind; None behind the last.
    """

    keys: list[bytes]
    values: list[bytes | LongValue]
    has_long: bool
    next: Place | None


class Snapshot:
    """Reads the tree that the last transaction left.

    The file is read and never mapped into memory: if it is damaged, or cut off meanwhile, that is an error
    and not a signal that ends the process. LMDB writes to the pages of a transaction only when two more
    have ended, the second of which has overwritten its meta page. So as long as that page `stands`, what was
    read is what the transaction wrote.

    Args:
        descriptor: of the open data.mdb.

    Attributes:
        entries: how many records there are.

    Raises:
        LmdbError: it is damaged, or not an LMDB. OSError: it cannot be read.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = read_meta(os.pread(descriptor, META_BYTES, 0), 0).page_size
        # Both in one piece: another process may be writing.
        head = os.pread(descriptor, self._size + META_BYTES, 0)
        heads = [head[:META_BYTES], head[self._size :]]
        metas = [read_meta(data, page) for page, data in enumerate(heads)]
        transactions = [meta.transaction for meta in metas]
        first_ones = transactions == [0, 0]
        by_turns = [n % 2 for n in transactions] == [0, 1] and abs(transactions[0] - transactions[1]) == 1
        same = metas[0].word == metas[1].word and metas[1].page_size == self._size
        later = transactions[1] > transactions[0]
        # A transaction never gives pages back to the file. If the later one has fewer pages, a damaged number
        # has made it the later one, and its tree is that of an earlier time.
        grows = metas[later].last_page >= metas[not later].last_page
        if not (same and (first_ones or by_turns) and grows):
            raise LmdbError("pages 0 and 1 of data.mdb contradict each other; copy or make it again")
        self._meta, self._meta_bytes = metas[later], heads[later]
        self._pages = Pages(self._meta)
        self.entries = self._meta.entries
        size, wanted = os.fstat(descriptor).st_size, (self._meta.last_page + 1) * self._size
        if size < wanted:
            raise LmdbError(f"data.mdb is cut off, it has {size} of {wanted} bytes; copy or make it again")

    def stands(self) -> bool:
        """Whether what was read until now is what the transaction wrote. Raises OSError."""
        place = self._meta.page * self._size
        return os.pread(self._descriptor, META_BYTES, place) == self._meta_bytes

    def order(self, key: bytes) -> Any:
        """What a key is ordered by."""
        return self._pages.order(key)

    def first(self) -> Place:
        """The first leaf page of a database that has records.

        Raises:
            LmdbError: a page is damaged. OSError: it cannot be read.
        """
        return self._down((), self._meta.root)

    def find(self, key: bytes) -> Place:
        """The leaf page that holds a key, if any does.

        Raises:
            LmdbError: a page is damaged. OSError: it cannot be read.
        """
        return self._down((), self._meta.root, key)

    def records(self, place: Place, most_pages: int) -> Records:
        """The records of a leaf page and of those behind it, up to the last one below its branch page.

        Args:
            place: of the first.
            most_pages: how many pages to read at most.

        Raises:
            LmdbError: a page is damaged. OSError: it cannot be read.
        """
        numbers, way = [place.page], place.way
        if way:
            below, taken = way[-1]
            numbers = below[taken : taken + most_pages]
            way = (*way[:-1], (below, taken + len(numbers) - 1))
        return Records(*self._pages.records(self._read(numbers), numbers), self._behind(way))

    def long_value(self, value: LongValue) -> bytes:
        """A value in overflow pages.

        Raises:
            LmdbError: they are damaged. OSError: they cannot be read.
        """
        start, head = value.page * self._size, self._pages.header_bytes
        self._pages.check_long(os.pread(self._descriptor, head, start), value)
        data = os.pread(self._descriptor, value.size, start + head)
        if len(data) < value.size:
            raise LmdbError(f"data.mdb is cut off in page {value.page}; copy or make it again")
        return data

    def _down(self, way: _Way, page: int, key: bytes | None = None) -> Place:
        """The leaf page below a page that a key belongs to; without a key, the first."""
        while len(way) < self._meta.depth - 1:
            keys, below = self._pages.children(self._read([page]), page)
            taken = 0
            if key is not None:
                # The first page below has all keys before the second's, whatever is said of its own.
                taken = bisect_right([self.order(k) for k in keys[1:]], self.order(key))
            way, page = (*way, (below, taken)), below[taken]
        return Place(page, way)

    def _behind(self, way: _Way) -> Place | None:
        """The leaf page behind the one that a way leads to."""
        while way:
            *upper, (below, taken) = way
            if taken + 1 < len(below):
                return self._down((*upper, (below, taken + 1)), below[taken + 1])
            way = tuple(upper)
        return None

    def _read(self, numbers: Sequence[int]) -> bytes:
        """The bytes of some pages; neighbours are read at once."""
        parts: list[bytes] = []
        start = 0
        for i in range(1, len(numbers) + 1):
            if i == len(numbers) or numbers[i] != numbers[i - 1] + 1:
                count = (i - start) * self._size
                parts.append(os.pread(self._descriptor, count, numbers[start] * self._size))
                if len(parts[-1]) < count:
                    missing = numbers[start] + len(parts[-1]) // self._size
                    raise LmdbError(f"data.mdb is cut off in page {missing}; copy or make it again")
                start = i
        return parts[0] if len(parts) == 1 else b"".join(parts)
