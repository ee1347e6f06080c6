"""The part of the HDF5 file format that Caffe's files use, read and written without the HDF5 library.

The library, given a damaged file, may loop or claim all memory; this reader checks every address and size
against the file first. It knows the format of Caffe's time, which is also what h5py and the library write
by default up to version 1.14: superblock 0 or 1, groups with symbol tables, datasets stored in one piece.

A file is a tree: groups are dictionaries, datasets arrays of numbers or texts (bytes).

    superblock → root group
    group:   object header → B-tree → symbol nodes (name, object header), names in a local heap
    dataset: object header → dataspace (shape), datatype, layout (where the values are)

Source: "HDF5 File Format Specification Version 3.0", The HDF Group
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = "npt.NDArray[Any] | bytes"
Tree: TypeAlias = "dict[str, Tree | Values]"
TreeView: TypeAlias = "Mapping[str, TreeView | Values]"

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_AXES = 32
_UNDEFINED = 2**64 - 1
MAX_DEPTH = 32
_LONGEST_NAME = 4096
_MOST_LEVELS = 8  # of a group's B-tree, each of 32 nodes: for any number of names

# Object header messages.
_DATASPACE, _DATATYPE, _FILL, _LAYOUT, _FILTERS, _CONTINUATION, _SYMBOL_TABLE = 1, 3, 5, 8, 11, 16, 17

# Datatype messages of the numbers, whole.
_FLOATS: dict[np.dtype[Any], bytes] = {
    np.dtype("f4"): struct.pack("<B3sIHHBBBBI", 0x11, b"\x20\x1f\x00", 4, 0, 32, 23, 8, 0, 23, 127),
    np.dtype("f8"): struct.pack("<B3sIHHBBBBI", 0x11, b"\x20\x3f\x00", 8, 0, 64, 52, 11, 0, 52, 1023),
}
_INTEGERS: dict[np.dtype[Any], bytes] = {
    np.dtype(f"{kind}{size}"): struct.pack("<BB2xIHH", 0x10, 8 * (kind == "i"), size, 0, 8 * size)
    for kind in "iu"
    for size in (1, 2, 4, 8)
}
_NUMBERS = {**_FLOATS, **_INTEGERS}
_STRING = 0x13


class FormatError(ValueError):
    """A file that is damaged, or uses what Caffe's files do not; says what."""


class NewerFormatError(FormatError):
    """A file in a newer version of the format, for which the library is needed."""


# ------------------------------------------------------------------------------------------------ reading


class Source(Protocol):
    """A file's bytes: an array of them, or what reads them when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: slice) -> npt.NDArray[np.uint8]: ...


def read_tree(data: Source, only: Collection[str] | None = None) -> Tree:
    """Reads the groups and datasets of a file; arrays are views of `data`, if that is an array.

    Args:
        data: the file.
        only: names in the root group to read, with all below; of the others, an empty group stands for each.

    Raises:
        NewerFormatError: the file is in a newer format, with checksums; the library can read it.
        FormatError: the file is damaged, or stores datasets in pieces.
    """
    return _File(data, only).read()


class _Entry(NamedTuple):
    """A line of a group: a name's place in the heap and the address of an object header."""

    name: int
    header: int


class _File:
    def __init__(self, data: Source, only: Collection[str] | None) -> None:
        self._data = data
        self._only = only
        self._size = len(data)
        self._seen: set[int] = set()
        # No piece of a file belongs to two objects: what has been read in all cannot exceed its size by
        # much. A damaged file may point at the same bytes again and again.
        self._unread = 2 * self._size + _LONGEST_NAME

    def read(self) -> Tree:
        if self._bytes(0, len(SIGNATURE)) != SIGNATURE:
            raise FormatError("it is not an HDF5 file")
        version, offsets, lengths = self._unpack("8xB4xBB", 0)
        if version >= 2:
            raise NewerFormatError(f"it has superblock version {version}")
        if (offsets, lengths) != (8, 8):
            raise FormatError(f"its addresses have {offsets} bytes and its lengths {lengths}, not 8")
        start = 24 if version == 0 else 28
        base, end, root = self._unpack("Q8xQ8x8xQ", start)
        if base != 0:
            raise FormatError(f"it begins at byte {base} of itself")
        if end > self._size:
            raise FormatError(f"it has {self._size} bytes of {end}: it is cut short")
        tree = self._object(root, "", 0)
        if not isinstance(tree, dict):
            raise FormatError("it holds no groups")
        return tree

    def _bytes(self, start: int, count: int) -> bytes:
        if start + count > self._size:
            raise FormatError(f"byte {start + count} is needed, it has {self._size}")
        self._note_reading(count)
        read = self._data[start : start + count].tobytes()
        if len(read) != count:
            raise FormatError("it became shorter")
        return read

    def _note_reading(self, count: int) -> None:
        self._unread -= count
        if self._unread < 0:
            raise FormatError("its parts overlap")

    def _unpack(self, layout: str, start: int) -> tuple[int, ...]:
        layout = f"<{layout}"
        return struct.unpack(layout, self._bytes(start, struct.calcsize(layout)))

    def _once(self, address: int) -> None:
        """Notes that a piece of the tree has been read: each is read once, so every walk comes to its end."""
        if address in self._seen:
            raise FormatError(f"two places point at byte {address}")
        self._seen.add(address)

    def _object(self, header: int, path: str, depth: int) -> Tree | Values:
        messages: dict[int, bytes] = {}
        for kind, content in self._messages(header):
            messages.setdefault(kind, content)
        if _SYMBOL_TABLE in messages:
            if depth > MAX_DEPTH:
                raise FormatError("its groups are nested too deeply")
            return self._group(messages[_SYMBOL_TABLE], path, depth)
        if not {_DATASPACE, _DATATYPE, _LAYOUT} <= messages.keys():
            raise FormatError(f"'{path}' is neither group nor dataset")
        return self._dataset(messages, path)

    def _messages(self, header: int) -> Iterator[tuple[int, bytes]]:
        """The kinds and contents of an object header's messages."""
        self._once(header)
        if self._bytes(header, 4) == b"OHDR":
            raise FormatError(f"the object at byte {header} is in a newer format than the rest")
        version, size = self._unpack("B7xI", header)
        if version != 1:
            raise FormatError(f"the object at byte {header} has version {version}, not 1")
        blocks = [(header + 16, size)]
        for start, length in blocks:
            end = start + length
            while start + 8 <= end:
                kind, count = self._unpack("HH", start)
                if start + 8 + count > end:
                    raise FormatError(f"a message at byte {start} runs past its block")
                content = self._bytes(start + 8, count)
                if kind == _CONTINUATION:
                    block = _take("QQ", content)
                    self._once(block[0])
                    blocks.append((block[0], block[1]))
                yield kind, content
                start += 8 + count

    def _group(self, symbol_table: bytes, path: str, depth: int) -> Tree:
        tree_address, heap = _take("QQ", symbol_table)
        self._once(heap)
        if self._bytes(heap, 4) != b"HEAP":
            raise FormatError(f"the names of '{path}/' are damaged")
        names_size, names = self._unpack("8xQ8xQ", heap)
        if names + names_size > self._size:
            raise FormatError(f"the names of '{path}/' run past the end")
        group: Tree = {}
        for entry in self._entries(tree_address, path):
            name = self._name(names, names_size, entry.name)
            if entry.header == _UNDEFINED:
                raise FormatError(f"'{name}' is a link to another place")
            if depth == 0 and self._only is not None and name not in self._only:
                group[name] = {}
                continue
            group[name] = self._object(entry.header, f"{path}/{name}", depth + 1)
        return group

    def _name(self, names: int, size: int, offset: int) -> str:
        if offset >= size:
            raise FormatError("a name lies outside its heap")
        longest = min(size - offset, _LONGEST_NAME)
        text, end, _ = self._data[names + offset : names + offset + longest].tobytes().partition(b"\0")
        if not end:
            raise FormatError("a name has no end")
        self._note_reading(len(text))
        return text.decode("utf-8", "replace")

    def _entries(self, address: int, path: str, levels: int = _MOST_LEVELS) -> Iterator[_Entry]:
        """The entries below a node of a group's B-tree, in order."""
        self._once(address)
        signature = self._bytes(address, 4)
        if signature == b"SNOD":
            (count,) = self._unpack("6xH", address)
            for i in range(count):
                yield _Entry(*self._unpack("QQ", address + 8 + 40 * i))
        elif signature == b"TREE":
            kind, _level, count = self._unpack("4xBBH", address)
            if kind != 0:
                raise FormatError(f"'{path}/' is not a group")
            if not levels:
                raise FormatError(f"the index of '{path}/' is nested too deeply")
            for i in range(count):
                (child,) = self._unpack("Q", address + 32 + 16 * i)
                yield from self._entries(child, path, levels - 1)
        else:
            raise FormatError(f"the index of '{path}/' is damaged")

    def _dataset(self, messages: Mapping[int, bytes], path: str) -> Values:
        shape = _shape(messages[_DATASPACE], path)
        datatype = messages[_DATATYPE]
        if len(datatype) < 8:
            raise FormatError(f"the type of '{path}' is damaged")
        if datatype[0] == _STRING:
            dtype: np.dtype[Any] | None = None
            itemsize = _take("4xI", datatype)[0]
        else:
            dtype = _number_type(datatype, path)
            itemsize = dtype.itemsize
        raw = self._values(messages, path, math.prod(shape) * itemsize)
        if dtype is None:
            return raw.tobytes().split(b"\0", 1)[0]
        return raw.view(dtype).reshape(shape)

    def _values(self, messages: Mapping[int, bytes], path: str, size: int) -> npt.NDArray[np.uint8]:
        version, kind = _take("BB", messages[_LAYOUT])
        if version not in (3, 4) or kind > 1 or _FILTERS in messages:
            raise FormatError(
                f"'{path}' is stored in pieces or compressed, which Caffe never does: "
                "rewrite the file with `h5repack -l CONTI -f NONE`"
            )
        if kind == 0:  # inside the header
            stored = messages[_LAYOUT][4 : 4 + _take("2xH", messages[_LAYOUT])[0]]
            raw = np.frombuffer(stored, np.uint8)
        else:
            address, length = _take("2xQQ", messages[_LAYOUT])
            if address == _UNDEFINED and size == 0:
                address = length = 0
            if address + length > self._size:
                raise FormatError(f"'{path}' runs past the end: it is cut short")
            raw = self._data[address : address + length]
        if len(raw) != size:
            raise FormatError(f"'{path}' has {len(raw)} bytes of values, its shape takes {size}")
        self._note_reading(size)
        return raw


def _take(layout: str, content: bytes) -> tuple[int, ...]:
    layout = f"<{layout}"
    if len(content) < struct.calcsize(layout):
        raise FormatError("a message is too short")
    return struct.unpack_from(layout, content)


def _shape(dataspace: bytes, path: str) -> tuple[int, ...]:
    version, axes = _take("BB", dataspace)
    if version not in (1, 2) or axes > MAX_AXES:
        raise FormatError(f"the shape of '{path}' is damaged")
    if version == 2 and _take("3xB", dataspace)[0] == 2:
        raise FormatError(f"'{path}' is empty")
    skipped = 8 if version == 1 else 4
    return _take(f"{skipped}x{axes}Q", dataspace)


def _number_type(datatype: bytes, path: str) -> np.dtype[Any]:
    for dtype, message in _NUMBERS.items():
        if datatype.startswith(message):
            little: np.dtype[Any] = dtype.newbyteorder("<")
            return little
    raise FormatError(f"'{path}' holds neither plain numbers nor fixed-length text")


# ------------------------------------------------------------------------------------------------ writing

_INTERNAL_K = 16


def file_parts(tree: TreeView) -> list[bytes | npt.NDArray[Any]]:
    """A file with this tree: the parts to write one after another, arrays as they are."""
    return _Writer(tree).parts


class _Writer:
    """Lays out a file: the superblock, then each object behind those that it points at."""

    def __init__(self, tree: TreeView) -> None:
        self.parts: list[bytes | npt.NDArray[Any]] = [b""]
        # One symbol node holds all entries of a group: nodes are as large as the largest group needs.
        self._leaf_k = max(4, -(-_most_entries(tree) // 2))
        self._end = 96
        root, index, heap = self._group(tree)
        self.parts[0] = struct.pack(
            "<8sBBBBBBBBHHIQQQQQQIIQQ",
            *(SIGNATURE, 0, 0, 0, 0, 0, 8, 8, 0, self._leaf_k, _INTERNAL_K, 0),
            *(0, _UNDEFINED, self._end, _UNDEFINED),
            *(0, root, 1, 0, index, heap),
        )

    def _add(self, part: bytes | npt.NDArray[Any]) -> int:
        """Puts a part at the next address that is a multiple of 8; returns the address."""
        size = len(part) if isinstance(part, bytes) else part.nbytes
        padding = -size % 8
        address = self._end
        self.parts.append(part)
        self.parts.append(bytes(padding))
        self._end += size + padding
        return address

    def _group(self, tree: TreeView) -> tuple[int, int, int]:
        """Adds a group with all below it; returns the addresses of its header, index and names."""
        entries = []
        names = bytearray(8)
        for name in sorted(tree, key=str.encode):
            item = tree[name]
            if isinstance(item, Mapping):
                header, index, heap = self._group(item)
                entries.append(struct.pack("<QQIIQQ", len(names), header, 1, 0, index, heap))
            else:
                entries.append(struct.pack("<QQII16x", len(names), self._dataset(item), 0, 0))
            last = len(names)
            names += _padded(name.encode() + b"\0")
        segment = self._add(bytes(names))
        heap = self._add(struct.pack("<4sB3xQQQ", b"HEAP", 0, len(names), 1, segment))
        node_size = 8 + 2 * self._leaf_k * 40
        node = struct.pack("<4sBBH", b"SNOD", 1, 0, len(entries)) + b"".join(entries)
        tree_size = 24 + 2 * _INTERNAL_K * 16 + 8
        index_node = struct.pack("<4sBBHQQ", b"TREE", 0, 0, bool(entries), _UNDEFINED, _UNDEFINED)
        if entries:
            index_node += struct.pack("<QQQ", 0, self._add(node.ljust(node_size, b"\0")), last)
        index = self._add(index_node.ljust(tree_size, b"\0"))
        header = self._header([(_SYMBOL_TABLE, struct.pack("<QQ", index, heap))])
        return header, index, heap

    def _dataset(self, values: Values) -> int:
        if isinstance(values, bytes):
            values, shape = values + b"\0", ()
            datatype = struct.pack("<B3xI", _STRING, len(values))
            size = len(values)
        else:
            values, shape = np.ascontiguousarray(values, values.dtype.newbyteorder("<")), values.shape
            datatype = _NUMBERS[values.dtype.newbyteorder("=")]
            size = values.nbytes
        address = self._add(values) if size else _UNDEFINED
        return self._header(
            [
                (_DATASPACE, struct.pack(f"<BBB5x{len(shape)}Q", 1, len(shape), 0, *shape)),
                (_DATATYPE, datatype),
                (_FILL, struct.pack("<BBBBI", 2, 2, 2, 1, 0)),
                (_LAYOUT, struct.pack("<BBQQ", 3, 1, address, size)),
            ]
        )

    def _header(self, messages: list[tuple[int, bytes]]) -> int:
        body = b"".join(
            struct.pack("<HHB3x", kind, len(_padded(content)), 0) + _padded(content)
            for kind, content in messages
        )
        return self._add(struct.pack("<BBHII4x", 1, 0, len(messages), 1, len(body)) + body)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 8)


def _most_entries(tree: TreeView) -> int:
    return max([len(tree), *(_most_entries(item) for item in tree.values() if isinstance(item, Mapping))])
