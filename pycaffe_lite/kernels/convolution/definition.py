"""Convolution and its gradients as plain loops: what the kernels of this folder compute, to read and to test.

Every product of the forward pass has one weight, one pixel and one result:

    y[n, m, p, q] = b[m] + Σ_{c, i, j} w[m, c, i, j] x[n, g C + c, h, v]
    h = p stride_h - pad_h + i dilation_h,  v = q stride_w - pad_w + j dilation_w

where C is the number of channels of a group, g the group of output m, and x is 0 outside the image. The chain
rule gives each factor the gradient of the result times the other factor. So the three functions below go
through the same products (`products`) and differ in one line:

    dx[n, g C + c, h, v] = Σ w[m, c, i, j] dy[n, m, p, q]
    dw[m, c, i, j]      += Σ x[n, g C + c, h, v] dy[n, m, p, q]
    db[m]               += Σ dy[n, m, p, q]

each over all products in which the left side's factor occurs.
"""

from collections.abc import Iterator

import numpy as np

from pycaffe_lite.kernels.convolution.geometry import Window
from pycaffe_lite.kernels.runtime.decorators import Array

Index = tuple[int, int, int, int]


def products(x: Array, w: Array, y: Array, window: Window) -> Iterator[tuple[Index, Index, Index]]:
    """The places (in y, in w, in x) of the factors and the result of each product.

    x: (N, G C, H, W). w: (M, C, kernel_h, kernel_w). y: (N, M, P, Q). G groups of C channels, M / G outputs.
    """
    outputs, channels = w.shape[0] // window.group, w.shape[1]
    for n, m, p, q in np.ndindex(*y.shape):
        for c, i, j in np.ndindex(*w.shape[1:]):
            h = p * window.stride_h - window.pad_h + i * window.dilation_h
            v = q * window.stride_w - window.pad_w + j * window.dilation_w
            if 0 <= h < x.shape[2] and 0 <= v < x.shape[3]:
                yield (n, m, p, q), (m, c, i, j), (n, m // outputs * channels + c, h, v)


def forward(x: Array, w: Array, bias: Array | None, y: Array, window: Window) -> None:
    """Overwrites y with the convolution of x. bias: (M,), or None."""
    y[...] = 0 if bias is None else bias[:, np.newaxis, np.newaxis]
    for at_y, at_w, at_x in products(x, w, y, window):
        y[at_y] += w[at_w] * x[at_x]


def backward_data(dy: Array, w: Array, dx: Array, window: Window) -> None:
    """Overwrites dx, the gradient of the image."""
    dx[...] = 0
    for at_y, at_w, at_x in products(dx, w, dy, window):
        dx[at_x] += w[at_w] * dy[at_y]


def backward_weights(x: Array, dy: Array, dw: Array, window: Window) -> None:
    """Adds to dw the gradient of the weights."""
    for at_y, at_w, at_x in products(x, dw, dy, window):
        dw[at_w] += x[at_x] * dy[at_y]


def backward_bias(dy: Array, db: Array) -> None:
    """Adds to db, (M,), the gradient of the bias."""
    for n, m, p, q in np.ndindex(*dy.shape):
        db[m] += dy[n, m, p, q]
