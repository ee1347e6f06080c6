"""What a data transformer does to the pixels of images: crop, mirror, subtract a mean, scale."""

import numpy as np

from pycaffe_lite.kernels.colors import split_row
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
    planes = np.empty((C, 1, width), np.uint8)
    for h in range(height):
        split_row(pixels[row + h, column : column + width].reshape(-1), pixels.shape[2], planes, 0)
        for c in range(C):
            x = planes[c, 0]
            if whole:
                _by_image(x, mean[c, row + h, column : column + width], scale, mirrored, out[c, h])
            else:
                _by_channel(x, mean[c, 0, 0], scale, mirrored, out[c, h])


@serial_kernel
def cut(pixels: Array, row: int, column: int, out: Array) -> None:
    """y[c, h, w] = x[h + row, w + column, c].

    Args:
        pixels: x, as for `picture`.
        row, column: of the first pixel that is kept.
        out: y, (C, h, w) uint8.
    """
    for h in range(out.shape[1]):
        split_row(pixels[row + h, column : column + out.shape[2]].reshape(-1), pixels.shape[2], out, h)


@serial_kernel
def finish(
    crops: Array,
    mean: Array,
    scale: float,
    rows: Array,
    columns: Array,
    mirrored: Array,
    out: Array,
) -> None:
    """What is left of `transform` where the images are cut already: mean, scale and mirror.

    Args:
        crops: (N, C, h, w) uint8.
        mean: (C, H, W) of the whole images, or (C, 1, 1) for one number per channel; float32.
        scale: float32.
        rows, columns, mirrored: (N,), where the crops were cut, and whether they are mirrored.
        out: (N, C, h, w) float32.
    """
    N, C, height, width = out.shape
    whole = mean.shape[1] > 1 or mean.shape[2] > 1
    for n in range(N):
        for c in range(C):
            for h in range(height):
                x, y = crops[n, c, h], out[n, c, h]
                if whole:
                    m = mean[c, rows[n] + h, columns[n] : columns[n] + width]
                    _by_image(x, m, scale, mirrored[n], y)
                else:
                    _by_channel(x, mean[c, 0, 0], scale, mirrored[n], y)


# One row each. LLVM makes vectors of these loops only where all rows are contiguous, and the last column is
# counted in unsigned numbers, which cannot mean a place from the end.


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
