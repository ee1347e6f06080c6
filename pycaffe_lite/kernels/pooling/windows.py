"""Windows of pooling: which values they cover, and how planes are divided among tasks."""

from typing import NamedTuple

from pycaffe_lite.kernels.runtime.decorators import Array, kernel

PARTS = 64  # tasks at most


class PoolingWindow(NamedTuple):
    """The kernel, padding and strides of pooling, in pixels."""

    kernel_h: int
    kernel_w: int
    pad_h: int
    pad_w: int
    stride_h: int
    stride_w: int


@kernel
def planes_of_part(part: int, parts: int, planes: int) -> tuple[int, int]:
    """First and last + 1 of a part's planes."""
    return part * planes // parts, (part + 1) * planes // parts


@kernel
def span(o: int, kernel: int, pad: int, stride: int, size: int) -> tuple[int, int]:
    """First and last + 1 of the values under window o along one axis; equal or reversed if there is none."""
    start = o * stride - pad
    return max(start, 0), min(start + kernel, size)


@kernel
def divided_length(o: int, kernel: int, pad: int, stride: int, size: int) -> int:
    """The length of window o along one axis by which a mean divides: with padding, without overhang."""
    start = o * stride - pad
    return min(start + kernel, size + pad) - start


@kernel
def covering(h: int, kernel: int, pad: int, stride: int, outputs: int) -> tuple[int, int]:
    """First and last + 1 of the windows along one axis that hold place h; if there is none, as for `span`."""
    return max((h + pad - kernel) // stride + 1, 0), min((h + pad) // stride + 1, outputs)


@kernel
def through_slope(dx: Array, to: int, size: int, values: Array, slope: float) -> None:
    """dx[to + i] *= slope where values[to + i] is not positive, i < size; nothing if values is empty."""
    if values.size > 0:
        value, out = values[to : to + size], dx[to : to + size]
        for i in range(out.size):
            out[i] *= out.dtype.type(1) if value[i] > 0 else slope
