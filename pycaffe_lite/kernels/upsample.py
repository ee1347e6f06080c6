"""Larger planes from smaller ones: by the place of each value, or by repeating it."""

import numpy as np
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import Array, parallel_kernel


@parallel_kernel
def unpool(x: Array, mask: Array, y: Array) -> int:
    """y[n, mask[n, i]] = x[n, i], the last one where several have one place; 0 elsewhere.

    x, mask: (planes, values). y: (planes, places). Returns how many places are not in their plane; what
    should go there is left out.
    """
    outside = 0
    for n in prange(x.shape[0]):
        y[n] = 0
        for i in range(x.shape[1]):
            place = np.int64(mask[n, i])
            if 0 <= place < y.shape[1]:
                y[n, place] = x[n, i]
            else:
                outside += 1
    return outside


@parallel_kernel
def pick(dy: Array, mask: Array, dx: Array) -> None:
    """dx[n, i] = dy[n, mask[n, i]], 0 outside.  dx, mask: (planes, values). dy: (planes, places)."""
    for n in prange(dx.shape[0]):
        for i in range(dx.shape[1]):
            place = np.int64(mask[n, i])
            dx[n, i] = dy[n, place] if 0 <= place < dy.shape[1] else dy.dtype.type(0)


@parallel_kernel
def repeat(x: Array, scale: int, y: Array) -> None:
    """y[n, h, w] = x[n, h // scale, w // scale].  x: (planes, H, W). y: (planes, H scale, W scale)."""
    for n in prange(x.shape[0]):
        for h in range(y.shape[1]):
            for w in range(x.shape[2]):
                value = x[n, h // scale, w]
                for k in range(w * scale, (w + 1) * scale):
                    y[n, h, k] = value


@parallel_kernel
def sum_blocks(dy: Array, scale: int, dx: Array) -> None:
    """dx[n, h, w] = sum of dy over the block of (n, h, w), in float64.  Shapes as in `repeat`."""
    for n in prange(dx.shape[0]):
        for h in range(dx.shape[1]):
            for w in range(dx.shape[2]):
                total = 0.0
                for i in range(h * scale, (h + 1) * scale):
                    for k in range(w * scale, (w + 1) * scale):
                        total += dy[n, i, k]
                dx[n, h, w] = total
