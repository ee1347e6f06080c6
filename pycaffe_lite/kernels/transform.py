"""What a data transformer does to the pixels of images: crop, mirror, subtract a mean, scale."""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, serial_kernel


@serial_kernel
def transform(
    items: Array, mean: Array, scale: float, rows: Array, columns: Array, mirrored: Array, out: Array
) -> None:
    """y[n, c, h, w'] = (x[n, c, h + rows[n], w + columns[n]] − mean[c, same place]) · scale.

    w' is w, counted from the right if mirrored[n]. Each operation rounds to float32.

    Args:
        items: x, (N, C, H, W) uint8 or float32.
        mean: (C, H, W), or (C, 1, 1) for one number per channel; float32.
        scale: float32.
        rows, columns, mirrored: (N,).
        out: y, (N, C, h, w) float32.
    """
    N, C, height, width = out.shape
    whole = mean.shape[1] == items.shape[2] and mean.shape[2] == items.shape[3]
    for n in range(N):
        top, left = rows[n], columns[n]
        for c in range(C):
            for h in range(height):
                x = items[n, c, top + h, left : left + width]
                y = out[n, c, h]
                if whole:
                    m = mean[c, top + h, left : left + width]
                    _by_image(x, m, scale, mirrored[n], y)
                else:
                    _by_channel(x, mean[c, 0, 0], scale, mirrored[n], y)


@serial_kernel
def picture(
    pixels: Array, mean: Array, scale: float, row: int, column: int, mirrored: int, out: Array
) -> None:
    """As `transform`, of one picture whose channels lie side by side.

    Args:
        pixels: x, (H, W, C) uint8; or (H, W, 4): three channels, the last of them first, and a byte without
            meaning.
        mean, scale: as there.
        row, column, mirrored: of this picture.
        out: y, (C, h, w) float32.
    """
    C, height, width = out.shape
    whole = mean.shape[1] == pixels.shape[0] and mean.shape[2] == pixels.shape[1]
    planes = np.empty((C, width), np.uint8)
    for h in range(height):
        _split(pixels[row + h, column : column + width].reshape(-1), pixels.shape[2], planes)
        for c in range(C):
            if whole:
                _by_image(planes[c], mean[c, row + h, column : column + width], scale, mirrored, out[c, h])
            else:
                _by_channel(planes[c], mean[c, 0, 0], scale, mirrored, out[c, h])


# One row each. LLVM makes vectors of these loops only where all rows are contiguous, where the last column is
# counted in unsigned numbers, which cannot mean a place from the end, and where 3 and 4 stand there as such.


@kernel
def _split(x: Array, step: int, planes: Array) -> None:
    """The channels of a row, each for itself; step: bytes of a pixel."""
    width = planes.shape[1]
    if planes.shape[0] == 3 and step == 3:
        first, second, third = planes[0], planes[1], planes[2]
        for w in range(width):
            first[w] = x[3 * w]
            second[w] = x[3 * w + 1]
            third[w] = x[3 * w + 2]
    elif planes.shape[0] == 3:
        first, second, third = planes[0], planes[1], planes[2]
        for w in range(width):
            first[w] = x[4 * w + 2]
            second[w] = x[4 * w + 1]
            third[w] = x[4 * w]
    else:
        for c in range(planes.shape[0]):
            for w in range(width):
                planes[c, w] = x[w * step + c]


@kernel
def _by_channel(x: Array, mean: float, scale: float, mirrored: int, y: Array) -> None:
    """y[w'] = (x[w] − mean) · scale."""
    width = y.size
    last = np.uint64(width - 1)
    if mirrored:
        for w in range(width):
            y[last - np.uint64(w)] = (np.float32(x[w]) - mean) * scale
    else:
        for w in range(width):
            y[w] = (np.float32(x[w]) - mean) * scale


@kernel
def _by_image(x: Array, mean: Array, scale: float, mirrored: int, y: Array) -> None:
    """y[w'] = (x[w] − mean[w]) · scale."""
    width = y.size
    last = np.uint64(width - 1)
    if mirrored:
        for w in range(width):
            y[last - np.uint64(w)] = (np.float32(x[w]) - mean[w]) * scale
    else:
        for w in range(width):
            y[w] = (np.float32(x[w]) - mean[w]) * scale
