"""What a data transformer does to the pixels of images: crop, mirror, subtract a mean, scale."""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, serial_kernel


@serial_kernel
def transform(
    items: Array, mean: Array, scale: float, rows: Array, columns: Array, mirrored: Array, out: Array
) -> None:
    """y[n, c, h, w'] = (x[n, c, h + rows[n], w + columns[n]] − mean[c, same place]) · scale.

    w' is w, or counted from the right where mirrored[n]. Each operation rounds to float32.

    Args:
        items: x, (N, C, H, W) uint8 or float32.
        mean: (C, H, W), or (C, 1, 1) for one number a channel; float32.
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
        pixels: x, (H, W, C) uint8.
        mean, scale: as there.
        row, column, mirrored: of this picture.
        out: y, (C, h, w) float32.
    """
    C, height, width = out.shape
    whole = mean.shape[1] == pixels.shape[0] and mean.shape[2] == pixels.shape[1]
    channel = np.empty(width, np.uint8)
    for h in range(height):
        x = pixels[row + h, column : column + width].reshape(-1)
        if C == 3:
            y0, y1, y2 = out[0, h], out[1, h], out[2, h]
            if whole:
                blue, green, red = mean[0, row + h], mean[1, row + h], mean[2, row + h]
                end = column + width
                blue, green, red = blue[column:end], green[column:end], red[column:end]
                _three_by_image(x, blue, green, red, scale, mirrored, y0, y1, y2)
            else:
                m0, m1, m2 = mean[0, 0, 0], mean[1, 0, 0], mean[2, 0, 0]
                _three_by_channel(x, m0, m1, m2, scale, mirrored, y0, y1, y2)
            continue
        for c in range(C):
            for w in range(width):
                channel[w] = x[w * C + c]
            if whole:
                _by_image(channel, mean[c, row + h, column : column + width], scale, mirrored, out[c, h])
            else:
                _by_channel(channel, mean[c, 0, 0], scale, mirrored, out[c, h])


# One row each. LLVM makes vectors of these loops only where all rows are contiguous, where the last column is
# counted in unsigned numbers, which cannot mean a place from the end, and where the 3 stands there as such.


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


@kernel
def _three_by_channel(
    x: Array,
    m0: float,
    m1: float,
    m2: float,
    scale: float,
    mirrored: int,
    y0: Array,
    y1: Array,
    y2: Array,
) -> None:
    """As `_by_channel`, of three channels: yc[w'] = (x[3 w + c] − mc) · scale."""
    width = y0.size
    last = np.uint64(width - 1)
    if mirrored:
        for w in range(width):
            place = last - np.uint64(w)
            y0[place] = (np.float32(x[3 * w]) - m0) * scale
            y1[place] = (np.float32(x[3 * w + 1]) - m1) * scale
            y2[place] = (np.float32(x[3 * w + 2]) - m2) * scale
    else:
        for w in range(width):
            y0[w] = (np.float32(x[3 * w]) - m0) * scale
            y1[w] = (np.float32(x[3 * w + 1]) - m1) * scale
            y2[w] = (np.float32(x[3 * w + 2]) - m2) * scale


@kernel
def _three_by_image(
    x: Array,
    m0: Array,
    m1: Array,
    m2: Array,
    scale: float,
    mirrored: int,
    y0: Array,
    y1: Array,
    y2: Array,
) -> None:
    """As `_by_image`, of three channels: yc[w'] = (x[3 w + c] − mc[w]) · scale."""
    width = y0.size
    last = np.uint64(width - 1)
    if mirrored:
        for w in range(width):
            place = last - np.uint64(w)
            y0[place] = (np.float32(x[3 * w]) - m0[w]) * scale
            y1[place] = (np.float32(x[3 * w + 1]) - m1[w]) * scale
            y2[place] = (np.float32(x[3 * w + 2]) - m2[w]) * scale
    else:
        for w in range(width):
            y0[w] = (np.float32(x[3 * w]) - m0[w]) * scale
            y1[w] = (np.float32(x[3 * w + 1]) - m1[w]) * scale
            y2[w] = (np.float32(x[3 * w + 2]) - m2[w]) * scale
