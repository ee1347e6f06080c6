"""Convolution and pooling in NumPy float64, written from their definitions; for small arrays."""

import itertools

import numpy as np


def windows(x, kernel, stride, pad, dilation, outputs):
    """Yields each kernel offset with what lies under it: (N, C, *outputs); 0 outside. x: (N, C, *image)."""
    sizes = [
        (o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(outputs, stride, dilation, kernel, strict=True)
    ]
    room = [(p, max(0, size - n - p)) for p, size, n in zip(pad, sizes, x.shape[2:], strict=True)]
    padded = np.pad(x, [(0, 0), (0, 0), *room])
    for offset in np.ndindex(*kernel):
        taken = [
            slice(i * d, i * d + (o - 1) * s + 1, s)
            for i, d, o, s in zip(offset, dilation, outputs, stride, strict=True)
        ]
        yield offset, padded[(slice(None), slice(None), *taken)]


def convolution(x, w, b=None, *, stride, pad, dilation, group=1):
    """Cross-correlation. x: (N, C, *image); w: (M, C / group, *kernel); b: (M,)."""
    kernel = w.shape[2:]
    outputs = [
        int((n + 2 * p - d * (k - 1) - 1) / s) + 1
        for n, p, d, k, s in zip(x.shape[2:], pad, dilation, kernel, stride, strict=True)
    ]
    y = np.zeros((len(x), len(w), *outputs))
    rows, channels = len(w) // group, w.shape[1]
    for offset, values in windows(x, kernel, stride, pad, dilation, outputs):
        for g in range(group):
            weights = w[(slice(g * rows, (g + 1) * rows), slice(None), *offset)]
            y[:, g * rows : (g + 1) * rows] += np.einsum(
                "mc,nc...->nm...", weights, values[:, g * channels : (g + 1) * channels]
            )
    return y if b is None else y + b.reshape(-1, *(1,) * len(kernel))


def deconvolution(x, w, b=None, *, stride, pad, dilation, group=1):
    """The transposed map, one input value at a time. x: (N, C, *image); w: (C, M / group, *kernel)."""
    kernel = w.shape[2:]
    outputs = [
        s * (n - 1) + d * (k - 1) + 1 - 2 * p
        for n, s, d, k, p in zip(x.shape[2:], stride, dilation, kernel, pad, strict=True)
    ]
    channels, columns = x.shape[1] // group, w.shape[1]
    y = np.zeros((len(x), columns * group, *outputs))
    for at in itertools.product(np.ndindex(*x.shape[2:]), np.ndindex(*kernel)):
        position = [o * s - p + i * d for o, i, s, p, d in zip(*at, stride, pad, dilation, strict=True)]
        if not all(0 <= q < n for q, n in zip(position, outputs, strict=True)):
            continue
        for g in range(group):
            values = x[(slice(None), slice(g * channels, (g + 1) * channels), *at[0])]
            weights = w[(slice(g * channels, (g + 1) * channels), slice(None), *at[1])]
            y[(slice(None), slice(g * columns, (g + 1) * columns), *position)] += values @ weights
    return y if b is None else y + b.reshape(-1, *(1,) * len(kernel))


def pool(x, kernel, stride, pad, outputs, function):
    """function(values, area) of each window, cut off at the image. x: (N, C, H, W)."""
    N, C, H, W = x.shape
    y = np.zeros((N, C, *outputs))
    for n, c, p, q in np.ndindex(*y.shape):
        starts = p * stride[0] - pad[0], q * stride[1] - pad[1]
        stops = starts[0] + kernel[0], starts[1] + kernel[1]
        area = (min(stops[0], H + pad[0]) - starts[0]) * (min(stops[1], W + pad[1]) - starts[1])
        values = x[n, c, max(starts[0], 0) : stops[0], max(starts[1], 0) : stops[1]]
        y[n, c, p, q] = function(values.ravel(), area)
    return y
