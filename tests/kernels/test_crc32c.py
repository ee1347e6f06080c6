"""CRC-32C: known sums, and the loop over bits."""

import numpy as np
import pytest

from pycaffe_lite.kernels import crc32c


def by_bits(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_known_sums(data, crc):
    """The last two are those of RFC 3720, B.4."""
    assert crc32c.crc32c(data) == crc


@pytest.mark.parametrize("count", [1, 7, 8, 9, 1000])
def test_any_length(count):
    data = np.random.default_rng(count).bytes(count)
    assert crc32c.crc32c(data) == by_bits(data)
    assert crc32c._crc.py_func(np.frombuffer(data, np.uint8), crc32c._tables()) == by_bits(data)
