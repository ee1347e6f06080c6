"""LevelDB's files, put together by hand: what tests of the reader need beyond what Caffe's tools leave."""

import struct
from pathlib import Path

from pycaffe_lite.data.leveldb_log import LogWriter, masked
from pycaffe_lite.formats.wire import varint
from pycaffe_lite.kernels.crc32c import crc32c


def text(content):
    return varint(len(content)) + content


def put(key, value):
    return b"\1" + text(key) + text(value)


def delete(key):
    return b"\0" + text(key)


def batch(first, *writes):
    return struct.pack("<QI", first, len(writes)) + b"".join(writes)


def write_log(path, *records):
    with open(path, "wb") as file:
        log = LogWriter(file)
        for record in records:
            log.add(record)


def internal(key, number, is_value=True):
    return key + struct.pack("<Q", number << 8 | is_value)


def block(entries, packing=0):
    """A block of whole keys, with its trailer."""
    content, offsets = b"", []
    for key, value in entries:
        offsets.append(len(content))
        content += varint(0) + varint(len(key)) + varint(len(value)) + key + value
    content += struct.pack(f"<{len(offsets)}II", *offsets, len(offsets))
    return content + struct.pack("<BI", packing, masked(crc32c(content + bytes([packing]))))


def write_table(path, entries, per_block=2, packing=0):
    """A table of (internal key, value); returns its size."""
    content, handles = b"", []
    for i in range(0, len(entries), per_block):
        part = entries[i : i + per_block]
        made = block(part, packing)
        handles.append((part[-1][0], varint(len(content)) + varint(len(made) - 5)))
        content += made
    about = varint(len(content)) + varint(8)
    content += block([])
    index = block(handles)
    about += varint(len(content)) + varint(len(index) - 5)
    content += index + about.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    Path(path).write_bytes(content)
    return len(content)


def write_manifest(path, *edits):
    """The MANIFEST, and CURRENT, which names it."""
    comparator = b"\1" + text(b"leveldb.BytewiseComparator")
    write_log(path / "MANIFEST-000001", comparator, *edits)
    (path / "CURRENT").write_bytes(b"MANIFEST-000001\n")


def new_table(level, number, size, first, last):
    ends = text(internal(first, 1)) + text(internal(last, 1))
    return b"\7" + varint(level) + varint(number) + varint(size) + ends


def deleted_table(level, number):
    return b"\6" + varint(level) + varint(number)


def log_numbers(log, previous=0):
    return b"\2" + varint(log) + b"\x09" + varint(previous) + b"\3\x63\4\x63"
