"""Unpacking Snappy, in which LevelDB keeps its blocks."""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, serial_kernel

# A copy of 64 bytes takes 3: no packed text unpacks to much more than 21 times its size.
_MOST_EXPANSION = 22


def decompress(packed: bytes) -> bytes | None:
    """What some bytes unpack to; None where they are damaged.

    Source: "Snappy compressed format description", format_description.txt of google/snappy
    """
    size, start = 0, 0
    for i, byte in enumerate(packed[:5]):
        size |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            start = i + 1
            break
    if not start or size > _MOST_EXPANSION * len(packed):
        return None
    out = np.empty(size, np.uint8)
    return out.tobytes() if _unpack(np.frombuffer(packed, np.uint8, offset=start), out) else None


@serial_kernel
def _unpack(packed: Array, out: Array) -> bool:
    """Fills `out`; returns whether `packed` is made for exactly that.

    A part is a tag and, where its lowest two bits are 0, bytes to take over. Otherwise the tag asks for a
    copy of what was written `offset` bytes before, which may run into what the copy itself writes.
    packed, out: uint8.
    """
    source, written = 0, 0
    while source < packed.size:
        tag = np.int64(packed[source])
        kind = tag & 3
        source += 1
        if kind == 0:
            length = (tag >> 2) + 1
            if length > 60:
                size_bytes = length - 60
                if source + size_bytes > packed.size:
                    return False
                length = 1
                for i in range(size_bytes):
                    length += np.int64(packed[source + i]) << (8 * i)
                source += size_bytes
            if length > packed.size - source or length > out.size - written:
                return False
            for i in range(length):
                out[written + i] = packed[source + i]
            source += length
            written += length
            continue
        offset_bytes = 4 if kind == 3 else kind
        if source + offset_bytes > packed.size:
            return False
        offset = 0
        for i in range(offset_bytes):
            offset |= np.int64(packed[source + i]) << (8 * i)
        source += offset_bytes
        if kind == 1:
            length = 4 + ((tag >> 2) & 7)
            offset |= (tag >> 5) << 8
        else:
            length = (tag >> 2) + 1
        if offset < 1 or offset > written or length > out.size - written:
            return False
        for i in range(length):
            out[written + i] = out[written - offset + i]
        written += length
    return written == out.size
