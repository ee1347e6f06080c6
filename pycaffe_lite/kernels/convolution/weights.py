"""How weights lie in memory: convolutions and their data gradients read one array in different orders."""

from functools import lru_cache
from typing import NamedTuple

from pycaffe_lite.kernels.convolution.geometry import Geometry
from pycaffe_lite.kernels.products.blocks import Packing


class WeightLayout(NamedTuple):
    """Where a product finds A[m, (c, t)] in the array of weights; t counts the taps of a channel."""

    group_stride: int  # from the rows of one group to those of the next
    row_stride: int
    channel_stride: int
    tap_stride: int
    at: int = 0  # of A[0, (0, 0)]


@lru_cache(maxsize=1024)
def weights_in_order(g: Geometry) -> WeightLayout:
    """The layout of weights that are stored as (M, C / group, kernel_h, kernel_w)."""
    area = g.kernel_h * g.kernel_w
    row = g.C // g.group * area
    return WeightLayout(g.M // g.group * row, row, area, 1)


def packing(
    g: Geometry, weights: WeightLayout, group: int, i0: int, rows: int, c0: int, channels: int, to: int
) -> Packing:
    """The packing of `rows` rows of a group from i0 on and `channels` channels from c0 on, to out[to]."""
    area = g.kernel_h * g.kernel_w
    at = weights.at + group * weights.group_stride + i0 * weights.row_stride + c0 * weights.channel_stride
    k = (channels, weights.channel_stride, area, weights.tap_stride)
    if weights.channel_stride == area * weights.tap_stride:
        k = (1, 0, channels * area, weights.tap_stride)
    elif area == 1:
        k = (1, 0, channels, weights.channel_stride)
    return Packing(at, weights.row_stride, rows, *k, to, group * (g.M // g.group) + i0)
