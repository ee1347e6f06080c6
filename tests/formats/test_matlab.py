import struct

import numpy as np
import pytest

from pycaffe_lite.formats.matlab import mat_parts


def elements(data):
    """The elements of a file's matrix: kind and bytes."""
    while data:
        kind, size = struct.unpack_from("<II", data)
        yield kind, data[8 : 8 + size]
        data = data[8 + size + -size % 8 :]


@pytest.mark.parametrize(("dtype", "kind", "array_class"), [(np.float32, 7, 7), (np.float64, 9, 6)])
def test_an_array_in_a_file(dtype, kind, array_class):
    values = np.arange(15, dtype=dtype).reshape(1, 5, 3)
    data = b"".join(mat_parts("scores", values))
    assert data[:10] == b"MATLAB 5.0"
    assert data[124:128] == b"\x00\x01IM"
    ((matrix, inside),) = elements(data[128:])
    assert matrix == 14
    flags, shape, name, real = elements(inside)
    assert flags == (6, struct.pack("<II", array_class, 0))
    assert shape == (5, struct.pack("<3i", 3, 5, 1))
    assert name == (1, b"scores")
    assert real[0] == kind
    np.testing.assert_array_equal(
        np.frombuffer(real[1], dtype).reshape(3, 5, 1, order="F"), values.transpose(2, 1, 0)
    )
    assert len(data) % 8 == 0
