"""The order of colours in pixels."""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, serial_kernel


@serial_kernel
def bgr_of_rgbx(pixels: Array, out: Array) -> None:
    """Blue, green, red of pixels of red, green, blue and a byte without meaning.

    Args:
        pixels: (4 n,) uint8.
        out: (3 n,) uint8.
    """
    for i in range(pixels.size // 4):
        source, target = np.uint64(4 * i), np.uint64(3 * i)
        out[target] = pixels[source + np.uint64(2)]
        out[target + np.uint64(1)] = pixels[source + np.uint64(1)]
        out[target + np.uint64(2)] = pixels[source]
