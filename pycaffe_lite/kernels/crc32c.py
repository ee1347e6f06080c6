"""CRC-32C, the checksum of LevelDB's files."""

from functools import lru_cache

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, serial_kernel

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, its bits reversed
_BYTES_AT_ONCE = 8


def crc32c(data: bytes | memoryview | Array) -> int:
    """The CRC-32C of some bytes, as a number below 2³²."""
    return int(_crc(np.frombuffer(data, np.uint8), _tables()))


@lru_cache(maxsize=1)
def _tables() -> Array:
    """table[k, b]: what the byte b does to the sum once k more bytes have come."""
    tables = np.empty((_BYTES_AT_ONCE, 256), np.uint32)
    sums = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        sums = (sums >> np.uint32(1)) ^ (sums & np.uint32(1)) * np.uint32(_POLYNOMIAL)
    tables[0] = sums
    for k in range(1, _BYTES_AT_ONCE):
        tables[k] = tables[0, tables[k - 1] & 0xFF] ^ (tables[k - 1] >> np.uint32(8))
    return tables


@serial_kernel
def _crc(data: Array, tables: Array) -> int:
    """The sum, eight bytes at a time: each finds its part in a table of its own.

    data: (count,) uint8. tables: (8, 256) uint32.
    """
    crc = np.uint32(0xFFFFFFFF)
    whole = data.size - data.size % 8
    for i in range(0, whole, 8):
        crc = (
            tables[7, data[i] ^ (crc & 0xFF)]
            ^ tables[6, data[i + 1] ^ ((crc >> 8) & 0xFF)]
            ^ tables[5, data[i + 2] ^ ((crc >> 16) & 0xFF)]
            ^ tables[4, data[i + 3] ^ (crc >> 24)]
            ^ tables[3, data[i + 4]]
            ^ tables[2, data[i + 5]]
            ^ tables[1, data[i + 6]]
            ^ tables[0, data[i + 7]]
        )
    for i in range(whole, data.size):
        crc = np.uint32(tables[0, data[i] ^ (crc & 0xFF)] ^ (crc >> 8))
    return int(crc ^ np.uint32(0xFFFFFFFF))
