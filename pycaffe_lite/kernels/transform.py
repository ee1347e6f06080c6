"""The transformation of a batch of images: crop, mirror, subtract a mean, scale."""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, serial_kernel


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
                    for w in range(width):
                        y[w] = (np.float32(x[w]) - m[w]) * scale
                else:
                    m0 = mean[c, 0, 0]
                    for w in range(width):
                        y[w] = (np.float32(x[w]) - m0) * scale
                if mirrored[n]:
                    for w in range(width // 2):
                        y[w], y[width - 1 - w] = y[width - 1 - w], y[w]
