"""Where weights lie: the packing of any block reads what the layout says."""

import itertools

import numpy as np
import pytest

from pycaffe_lite.kernels import convolution
from pycaffe_lite.kernels.convolution.weights import WeightLayout, packing, weights_in_order
from tests.kernels.convolution.cases import case, geometry_of


def test_weights_in_order_are_those_of_the_blob():
    layer = case(1, 3, 9, 9, 4, (2, 3), group=2)
    w = np.arange(np.prod(layer["w"])).reshape(layer["w"])
    layout = weights_in_order(geometry_of(layer))
    for (m, c, i, j), place in np.ndenumerate(w):
        group, row = divmod(m, 4)
        at = layout.at + group * layout.group_stride + row * layout.row_stride
        assert at + c * layout.channel_stride + (i * 3 + j) * layout.tap_stride == place


def test_flipped_weights_are_read_from_the_last_tap_on():
    layer = case(1, 3, 9, 9, 4, (2, 3), group=2)
    w = np.arange(np.prod(layer["w"])).reshape(layer["w"])
    layout = convolution._flipped_weights(geometry_of(layer))
    # rows of the data gradient are input channels, its depth are output channels
    for group, c, m, t in itertools.product(range(2), range(3), range(4), range(6)):
        at = layout.at + group * layout.group_stride + c * layout.row_stride
        at += m * layout.channel_stride + t * layout.tap_stride
        assert at == w[group * 4 + m, c].ravel()[::-1][t]


@pytest.mark.parametrize("layout", ["in order", "flipped", "any"])
@pytest.mark.parametrize("kernel", [1, (2, 3)])
def test_a_packing_reads_rows_channel_by_channel(kernel, layout):
    g = geometry_of(case(1, 5, 9, 9, 7, kernel, group=2))
    weights = {
        "in order": weights_in_order(g),
        "flipped": convolution._flipped_weights(g._replace(M=g.C, C=g.M)),
        "any": WeightLayout(1000, 100, 17, 2, 3),
    }[layout]
    group, i0, rows, c0, channels = 1, 2, 4, 1, 3
    p = packing(g, weights, group, i0, rows, c0, channels, to=11)
    assert (p.rows, p.outer * p.inner, p.to) == (rows, channels * g.kernel_h * g.kernel_w, 11)
    assert p.first == group * 7 + i0, "the output channel whose scale row 0 gets"
    assert p.outer == 1 or (kernel != 1 and layout != "in order"), "runs are as long as can be"
    read = [
        p.at + r * p.row_stride + i * p.outer_stride + j * p.inner_stride
        for r in range(p.rows) for i in range(p.outer) for j in range(p.inner)
    ]  # fmt: skip
    assert read == [
        weights.at + group * weights.group_stride + m * weights.row_stride + c * weights.channel_stride
        + t * weights.tap_stride
        for m in range(i0, i0 + rows)
        for c in range(c0, c0 + channels)
        for t in range(g.kernel_h * g.kernel_w)
    ]  # fmt: skip
