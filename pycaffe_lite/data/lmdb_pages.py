"""The pages of an LMDB's file, taken apart, and checked before anything in them is followed.

The file is a row of pages of one size. Pages 0 and 1 are meta pages: each transaction writes one of them, by
turns, and the later one names the root of the tree. A branch page holds, for each page below it, its number
and its first key; a leaf page holds keys and values. A value too long for a leaf page lies in a run of
overflow pages, of which only the first has a header.

    page  its number (a word), 2 bytes, flags, lower, upper (2 bytes each; of an overflow page: the number of
          pages, 4 bytes); up to `lower` the offsets of the nodes, 2 bytes each; from `upper` on the nodes
    node  low, high (2 bytes each: the size of the value, or the number of the page below), flags, size of the
          key (2 bytes each), key, value

Numbers are little-endian; a word has 8 or 4 bytes, as on the machine that made the file.

Source: the structures in LMDB's mdb.c, version 1 of the format
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

META_BYTES = 256  # a meta page's header and fields, and a little more
META_PAGES = 2
MOST_LEVELS = 32  # of a tree, as in LMDB

_BRANCH, _LEAF, _OVERFLOW, _META = 1, 2, 4, 8
# All kinds of pages: also the two for databases with several values for a key.
_KINDS = _BRANCH | _LEAF | _OVERFLOW | _META | 0x20 | 0x40
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_PAGE_SIZES = [1 << i for i in range(8, 17)]
# Flags of databases, and of nodes: the value lies in overflow pages; the value is a database.
_REVERSED_KEYS, _SEVERAL_VALUES, _INTEGER_KEYS = 2, 4, 8
_LONG, _DATABASE = 1, 2
_NODE_BYTES = 8
# What is shown of a key.
_MOST_KEY_BYTES = 100

Numbers = npt.NDArray[np.int64]


class LmdbError(ValueError):
    """A file that is damaged, or of a kind that is not read; its text follows "cannot read LMDB 'x': "."""


def damaged(page: int) -> LmdbError:
    """The error for a page that holds what it cannot hold."""
    return LmdbError(f"page {page} of data.mdb is damaged; copy or make it again")


class Meta(NamedTuple):
    """What a meta page says.

    Attributes:
        page: its number.
        word: bytes of a word.
        page_size: bytes of a page.
        flags: of the records' database.
        depth: levels of its tree; 0 without records.
        entries: number of its records.
        root: the page at the top of the tree.
        last_page: the last page in use.
        transaction: the number of the one that wrote this.
    """

    page: int
    word: int
    page_size: int
    flags: int
    depth: int
    entries: int
    root: int
    last_page: int
    transaction: int


class LongValue(NamedTuple):
    """A value in overflow pages: the number of the first one, and the value's size in bytes."""

    page: int
    size: int


def read_meta(data: bytes, page: int) -> Meta:
    """Reads the first META_BYTES of a meta page.

    Raises:
        LmdbError: they are something else.
    """
    for word, letter in ((8, "Q"), (4, "I")):
        start = word + 8
        fields = struct.Struct(f"<II2{letter}" + 2 * f"IHH5{letter}" + f"2{letter}")
        if len(data) < start + fields.size:
            raise LmdbError("data.mdb is cut off; copy or make it again")
        magic, version, _, _, page_size, *_, flags, depth, _, _, _, entries, root, last_page, transaction = (
            fields.unpack_from(data, start)
        )
        if magic == _MAGIC and version != _VERSION:
            raise LmdbError(f"its format has version {version}, only version {_VERSION} is read")
        if magic == _MAGIC and _number(data, word) == (page, _META) and page_size in _PAGE_SIZES:
            return Meta(page, word, page_size, flags, depth, entries, root, last_page, transaction)
    if struct.pack(">I", _MAGIC) in (data[12:16], data[16:20]):
        raise LmdbError("a machine of the other byte order made it; make it again on this one")
    raise damaged(page) if page else LmdbError("data.mdb is not an LMDB file")


def _number(data: bytes, word: int) -> tuple[int, int]:
    """A page's number and kind."""
    flags = int.from_bytes(data[word + 2 : word + 4], "little")
    return int.from_bytes(data[:word], "little"), flags & _KINDS


class Pages:
    """Reads the pages of one file.

    Args:
        meta: of the file.

    Raises:
        LmdbError: its records are of a kind that is not read.
    """

    def __init__(self, meta: Meta) -> None:
        self.meta = meta
        self.header_bytes = meta.word + 8
        # The heads of pages, in the bytes of several.
        self._head = np.dtype(
            {
                "names": ["number", "flags", "lower", "upper"],
                "formats": [f"<u{meta.word}", "<u2", "<u2", "<u2"],
                "offsets": [0, meta.word + 2, meta.word + 4, meta.word + 6],
                "itemsize": meta.page_size,
            }
        )
        if meta.flags & _SEVERAL_VALUES:
            raise LmdbError(
                "it has several values for a key (MDB_DUPSORT), which Caffe's databases never have"
            )
        is_tree = 0 < meta.depth <= MOST_LEVELS and META_PAGES <= meta.root <= meta.last_page
        if is_tree != (meta.entries > 0):
            raise damaged(meta.page)

    def order(self, key: bytes) -> Any:
        """What a key is ordered by: its bytes, as a rule."""
        if self.meta.flags & _INTEGER_KEYS:
            return int.from_bytes(key, "little")
        return key[::-1] if self.meta.flags & _REVERSED_KEYS else key

    def children(self, data: bytes, page: int) -> tuple[list[bytes], list[int]]:
        """The keys and numbers of the pages below a branch page; the first key may be any.

        Raises:
            LmdbError: the page is damaged, or no branch page.
        """
        nodes = self._nodes(data, [page], _BRANCH)
        numbers = nodes.value + (nodes.flags << 32 if self.meta.word == 8 else 0)
        if (numbers < META_PAGES).any() or (numbers > self.meta.last_page).any():
            raise damaged(page)
        return _slices(data, nodes.start, nodes.end), numbers.tolist()

    def records(self, data: bytes, pages: Sequence[int]) -> tuple[list[bytes], list[bytes | LongValue], bool]:
        """The keys and values of leaf pages, in order, and whether there are long values.

        Args:
            data: of all the pages.
            pages: their numbers.

        Raises:
            LmdbError: a page is damaged, or no leaf page; or there are several databases in the file.
        """
        nodes = self._nodes(data, pages, _LEAF)
        keys = _slices(data, nodes.start, nodes.end)
        ordered = [self.order(key) for key in keys] if self.meta.flags else keys
        ascends = [True, *map(operator.lt, ordered, ordered[1:])]
        if not all(ascends):
            raise damaged(pages[nodes.page[ascends.index(False)]])
        is_long, is_database = nodes.flags == _LONG, nodes.flags == _DATABASE
        ends = nodes.end + np.where(is_long, self.meta.word, nodes.value)
        # A node takes half a page at most: what would take more is a long value.
        right = ends - nodes.start <= self.meta.page_size // 2 - _NODE_BYTES
        right &= ends <= (nodes.page + 1) * self.meta.page_size
        right &= (nodes.flags == 0) | is_long | is_database
        if not right.all():
            raise damaged(pages[nodes.page[right.argmin()]])
        if is_database.any():
            name = key_text(keys[int(is_database.argmax())])
            raise LmdbError(f"'{name}' in it is a database with a name, and Caffe reads the one without")
        values: list[bytes | LongValue] = list(_slices(data, nodes.end, ends))
        for i in np.flatnonzero(is_long).tolist():
            page = int.from_bytes(data[int(nodes.end[i]) : int(ends[i])], "little")
            if not META_PAGES <= page <= self.meta.last_page:
                raise damaged(pages[nodes.page[i]])
            values[i] = LongValue(page, int(nodes.value[i]))
        return keys, values, bool(is_long.any())

    def check_long(self, head: bytes, value: LongValue) -> None:
        """Checks that overflow pages hold a value, given the head of the first.

        Raises:
            LmdbError: they do not.
        """
        count = int.from_bytes(head[self.meta.word + 4 : self.header_bytes], "little")
        if (
            _number(head, self.meta.word) != (value.page, _OVERFLOW)
            or value.page + count > self.meta.last_page + 1
            or self.header_bytes + value.size > count * self.meta.page_size
        ):
            raise damaged(value.page)

    def _nodes(self, data: bytes, pages: Sequence[int], kind: int) -> _Nodes:
        size, start = self.meta.page_size, self.header_bytes
        heads = np.frombuffer(data, self._head)
        lower, upper = heads["lower"].astype(np.int64), heads["upper"].astype(np.int64)
        right = (
            (heads["number"] == pages)
            & (heads["flags"] & _KINDS == kind)
            & (start < lower)
            & (lower <= upper)
            & (upper <= size)
            & ((lower - start) % 2 == 0)
        )
        if not right.all():
            raise damaged(pages[right.argmin()])
        counts = (lower - start) // 2
        page = np.repeat(np.arange(len(pages)), counts)
        place = np.arange(len(page)) - (np.cumsum(counts) - counts)[page]  # within the page
        halves = np.frombuffer(data, "<u2")
        offsets = halves[page * (size // 2) + start // 2 + place].astype(np.int64)
        inside = (upper[page] <= offsets) & (offsets + _NODE_BYTES <= size)
        if not inside.all():
            raise damaged(pages[page[inside.argmin()]])
        nodes = page * size + offsets
        # Nodes begin anywhere: their heads are gathered byte for byte.
        octets = np.frombuffer(data, np.uint8)[nodes[:, np.newaxis] + np.arange(_NODE_BYTES)]
        low, high, flags, key_size = octets.view("<u2").astype(np.int64).T
        keys = nodes + _NODE_BYTES
        inside = offsets + _NODE_BYTES + key_size <= size
        if not inside.all():
            raise damaged(pages[page[inside.argmin()]])
        return _Nodes(page, keys, keys + key_size, low + (high << 16), flags)


class _Nodes(NamedTuple):
    """The nodes of some pages: an item of each array for each.

    Attributes:
        page: which of the pages, from 0.
        start, end: of the key in the pages' bytes; behind it comes the value.
        value: the size of the value, or the lower half of the number of the page below.
        flags: of the node, or the upper half of that number.
    """

    page: Numbers
    start: Numbers
    end: Numbers
    value: Numbers
    flags: Numbers


def _slices(data: bytes, starts: Numbers, ends: Numbers) -> list[bytes]:
    return [data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def key_text(key: bytes) -> str:
    """A key for people to read."""
    text = key[:_MOST_KEY_BYTES].decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(key) <= _MOST_KEY_BYTES else f"{shown}…"
