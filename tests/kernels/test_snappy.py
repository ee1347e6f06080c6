"""Snappy's parts of each kind, and damaged ones."""

import numpy as np
import pytest

from pycaffe_lite.kernels import snappy

LONG = bytes(range(256)) * 300


@pytest.mark.parametrize(
    ("packed", "wanted"),
    [
        (b"\0", b""),
        (b"\3\x08abc", b"abc"),
        (b"\x07\x08abc\x01\x03", b"abcabca"),  # a copy of 4, 3 before
        (b"\x0a\0a\x22\x01\0", b"a" * 10),  # a copy of 9 that runs into itself
        (b"\x06\x08abc\x0b\x03\0\0\0", b"abcabc"),  # an offset of 4 bytes
        (b"\x80\xd8\x04\xf8\xff\x2b\x01" + LONG, LONG),  # a length of 3 bytes
        (b"\x64\xf0\x63" + bytes(range(100)), bytes(range(100))),  # of 1 byte
    ],
)
def test_parts(packed, wanted):
    assert snappy.decompress(packed) == wanted
    start = 3 if len(wanted) > 127 else 1
    out = np.empty(len(wanted), np.uint8)
    assert snappy._unpack.py_func(np.frombuffer(packed, np.uint8, offset=start), out)
    assert out.tobytes() == wanted


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\x80",
        b"\xff\xff\xff\xff\x7f\0a",  # says 32 GiB
        b"\2\x08abc",  # more than it says
        b"\4\x08abc",  # less
        b"\3\x08ab",
        b"\3\xf8\xff",
        b"\3\xfc\xff\xff\xff\xffabc",
        b"\x07\x08abc\x01",
        b"\x07\x08abc\x01\x04",  # from before the start
        b"\x07\x08abc\x01\x00",
        b"\x06\x08abc\x0b\x03\0\0",
        b"\x06\x08abc\x0b\x03\0\0\x80",
    ],
)
def test_damage(packed):
    assert snappy.decompress(packed) is None
