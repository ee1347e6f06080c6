"""The sizes that stand at the beginning of a JPEG.

Source: ITU-T T.81, annex B
"""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, serial_kernel

_MARKER, _START_OF_IMAGE, _START_OF_SCAN, _APP1 = 0xFF, 0xD8, 0xDA, 0xE1
# Markers that begin a frame of Huffman codes with losses: sequential, of either kind, and progressive.
_FIRST_FRAME, _LAST_FRAME = 0xC0, 0xC2
# Markers without a length behind them; 0 and 255 are no markers.
_RESTART, _END_OF_IMAGE, _TEMPORARY = 0xD0, 0xD9, 0x01
_BITS = 8


@serial_kernel
def frame(file: Array, found: Array) -> bool:
    """Reads the sizes of a JPEG whose beginning is like that of nearly all.

    It has 8 bits a value, one frame, which is coded by Huffman's method and with losses, and nothing between
    its markers.

    Args:
        file: (bytes,) uint8.
        found: (4,) int64, gets the height, the width, the channels, and whether there is an APP1 marker: it
            may hold Exif or XMP.

    Returns:
        Whether the file begins so; `found` may hold anything otherwise.
    """
    size = file.size
    found[:] = 0
    if size < 4 or file[0] != _MARKER or file[1] != _START_OF_IMAGE:
        return False
    position = 2
    while position + 4 <= size and file[position] == _MARKER:
        marker = file[position + 1]
        length = _short(file, position + 2)
        end = position + 2 + length
        if length < 2 or end > size or marker <= _TEMPORARY or _RESTART <= marker <= _END_OF_IMAGE:
            return False
        if marker == _START_OF_SCAN:
            return bool(found[0] > 0 and found[1] > 0)
        if marker == _APP1:
            found[3] = 1
        if _FIRST_FRAME <= marker <= _LAST_FRAME:
            if found[2] or length < 8 or file[position + 4] != _BITS:
                return False
            found[0], found[1] = _short(file, position + 5), _short(file, position + 7)
            found[2] = file[position + 9]
            if not found[2] or length != 8 + 3 * found[2]:
                return False
        position = end
    return False


@kernel
def _short(file: Array, position: int) -> int:
    return int(np.int64(file[position]) << 8 | np.int64(file[position + 1]))
