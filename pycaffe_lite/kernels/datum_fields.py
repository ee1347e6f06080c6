"""The fields of a Datum message whose image is a file."""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, serial_kernel

_VARINT, _LENGTH = 0, 2
_DATA, _LABEL, _FLOAT_DATA, _ENCODED = 4, 5, 6, 7
_MOST_BITS = 28  # of a number in four bytes


@serial_kernel
def encoded_file(message: Array, found: Array) -> bool:
    """Finds the file and the label in a message of which all numbers are small, as they nearly always are.

    Args:
        message: (bytes,) uint8.
        found: (3,) int64, gets where the file begins and ends, and the label.

    Returns:
        Whether it is such a message, and says that it holds a file; `found` may hold anything otherwise.
    """
    size, position = message.size, 0
    found[:] = 0
    is_encoded = False
    while position < size:
        tag = message[position]
        number, kind = tag >> 3, tag & 7
        position += 1
        value, shift = np.int64(0), np.int64(0)
        while True:
            if position >= size or shift >= _MOST_BITS:
                return False
            byte = np.int64(message[position])
            value |= (byte & 0x7F) << shift
            shift += 7
            position += 1
            if byte < 0x80:
                break
        if number == _DATA and kind == _LENGTH:
            if value > size - position:
                return False
            found[0], found[1] = position, position + value
            position += value
        elif 0 < number <= _ENCODED and number not in (_DATA, _FLOAT_DATA) and kind == _VARINT:
            if number == _LABEL:
                found[2] = value
            elif number == _ENCODED:
                is_encoded = value != 0
        else:
            return False
    return is_encoded
