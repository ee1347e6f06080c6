"""dy with channels side by side, and sums of parts that are added to dw."""

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution.weight_sums import (
    ADDED,
    add_parts,
    add_sums,
    adding_workspace,
    transpose_dy,
    transposed_panel,
    transposed_size,
)
from pycaffe_lite.kernels.runtime.scratch import no_memory, worker_memory
from pycaffe_lite.kernels.simd.tiles import panel_width
from tests.kernels.convolution.cases import LANES, case, geometry_of
from tests.kernels.guarded import at_the_end_of_memory, guarded, guarded_nans, margins_untouched

FLOAT = np.dtype(np.float32)


@pytest.mark.parametrize("plane", [(1, 1), (3, LANES), (3, 7)])
@pytest.mark.parametrize("outputs", [1, LANES, 3 * LANES, 4 * LANES - 1, 5 * LANES + 2])
@pytest.mark.parametrize("group", [1, 2])
def test_panels_hold_the_channels_side_by_side(group, outputs, plane):
    g = geometry_of(case(3, 1, *plane, outputs, 1, group=group))
    count, filled = g.P * g.Q, -(-outputs // LANES) * LANES
    dy = np.arange(3 * g.M * count, dtype=np.float32).reshape(3, group, outputs, count)
    panels = guarded_nans(transposed_size(g, LANES), np.float32)
    transpose_dy(no_memory(FLOAT), at_the_end_of_memory(dy).reshape(-1), panels, np.array(g), filled)
    assert margins_untouched(panels)
    for of_group in range(group):
        m = 0
        while m < filled:
            width = panel_width.py_func(filled - m, LANES)
            at = transposed_panel.py_func(g, filled, of_group, m, LANES)
            panel = panels[at : at + 3 * count * width].reshape(3, count, width)
            many = min(width, outputs - m)
            assert np.array_equal(panel[:, :, :many], dy[:, of_group, m : m + many].transpose(0, 2, 1))
            m += width


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize(("channels", "outputs"), [(1, 1), (ADDED, LANES), (ADDED + 3, 2 * LANES + 1)])
def test_sums_of_all_parts_are_transposed_and_added(channels, outputs, add):
    g, parts, filled = geometry_of(case(1, channels, 4, 4, outputs, 1, group=2)), 3, 3 * LANES
    sums = np.random.default_rng(0).standard_normal((parts, 2, channels, filled)).astype(np.float32)
    before = np.ones((2, outputs, channels), np.float32)
    dw = guarded(before) if add else guarded_nans(before.shape, np.float32)
    memory = worker_memory(FLOAT, 2, adding_workspace(outputs))
    add_sums(memory, sums.reshape(-1), dw.reshape(-1), np.array(g), filled, parts, add)
    total = sums[0] + sums[1] + sums[2]
    assert np.array_equal(dw, total[..., :outputs].swapaxes(1, 2) + (before if add else 0))
    assert margins_untouched(dw)


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("size", [1, 10_001])
def test_parts_are_added_in_order(size, add):
    sums = np.random.default_rng(0).standard_normal((4, size)).astype(np.float32)
    dw = guarded(np.ones(size, np.float32)) if add else guarded_nans(size, np.float32)
    add_parts(no_memory(FLOAT), sums.reshape(-1), dw, 4, add)
    total = sums[0] + sums[1] + sums[2] + sums[3]
    assert np.array_equal(dw, total + (np.float32(1) if add else 0))
    assert margins_untouched(dw)
