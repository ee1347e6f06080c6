"""Convolutions with a stride, rewritten as convolutions of the image's phases without one.

With stride s, a pixel (s u + e, s v + f) meets only the weights (s i + e, s j + f) of a kernel. So the pixels
of phase (e, f), every s-th one of every s-th line, form an image of their own, over which the convolution has
stride 1 and kernels of an s-th of the size. Each channel becomes s² channels: 3 channels and 11x11 kernels
with stride 4 become 48 channels and 3x3 kernels, in which the weights beyond 11 are 0.
"""

from pycaffe_lite.kernels.convolution.geometry import Geometry, geometry_of
from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_task, worker_kernel


def without_stride(g: Geometry) -> Geometry:
    """The convolution of the phases: kernels are square, and the image is taken as padded already."""
    s = g.stride_h
    if s == 1:
        return g
    size = -(-g.kernel_h // s)
    sizes = {"kernel_h": size, "kernel_w": size, "stride_h": 1, "stride_w": 1, "pad_h": 0, "pad_w": 0}
    return g._replace(C=g.C * s * s, H=g.P + size - 1, W=g.Q + size - 1, **sizes)


@worker_kernel
def split_kernels(w: Array, out: Array, sizes: Array, tasks: Tasks, _memory: Array) -> None:
    """out[m, (c, e, f), i, j] = w[m, c, s i + e, s j + f], or 0 beyond the kernel. Flat arrays."""
    g = geometry_of(sizes)
    s, K, area = g.stride_h, g.C // g.group, g.kernel_h * g.kernel_w
    high, wide = (g.kernel_h + s - 1) // s, (g.kernel_w + s - 1) // s
    m = take_task(tasks, g.M)
    while m < g.M:
        to = m * K * s * s * high * wide
        for c in range(K):
            for phase in range(s * s):
                for i in range(high):
                    h = s * i + phase // s
                    for j in range(wide):
                        v = s * j + phase % s
                        there = h < g.kernel_h and v < g.kernel_w
                        out[to] = w[(m * K + c) * area + h * g.kernel_w + v] if there else 0
                        to += 1
        m = take_task(tasks, g.M)


@worker_kernel
def join_kernels(parts: Array, w: Array, sizes: Array, add: bool, tasks: Tasks, _memory: Array) -> None:
    """w[m, c, s i + e, s j + f] = parts[m, (c, e, f), i, j], or the sum of both with `add`. Flat arrays."""
    g = geometry_of(sizes)
    s, K, area = g.stride_h, g.C // g.group, g.kernel_h * g.kernel_w
    high, wide = (g.kernel_h + s - 1) // s, (g.kernel_w + s - 1) // s
    m = take_task(tasks, g.M)
    while m < g.M:
        for c in range(K):
            to, at = (m * K + c) * area, (m * K + c) * s * s * high * wide
            for h in range(g.kernel_h):
                for v in range(g.kernel_w):
                    phase = h % s * s + v % s
                    value = parts[at + (phase * high + h // s) * wide + v // s]
                    w[to + h * g.kernel_w + v] = w[to + h * g.kernel_w + v] + value if add else value
        m = take_task(tasks, g.M)
