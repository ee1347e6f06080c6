"""The data gradient, tap by tap, and when it is a convolution instead."""

import itertools

import numpy as np
import pytest

from pycaffe_lite.kernels import convolution
from pycaffe_lite.kernels.convolution.data_gradient import DataGradientBlocking, plan, scatter, widen
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from tests.kernels.convolution.cases import LANES, WIDE, case, check_data_gradient, geometry_of
from tests.kernels.guarded import at_the_end_of_memory, guarded_nans, margins_untouched

CASES = {
    "one pixel": case(1, 1, 1, 1, 1, 1),
    "bare, whole half vectors": case(2, 5, 9, LANES // 2 + 2, 13, 3),
    "lines filled up with zeros": case(2, 5, 9, 9, 13, 3),
    "padded": case(2, 5, 9, 11, 13, 3, pad=2),
    "strides and dilation": case(2, 7, 23, 35, 9, (3, 2), pad=1, stride=(2, 3), dilation=2),
    "stride beyond the kernel": case(1, 3, 17, 19, 4, (1, 2), stride=(5, 3)),
    "groups": case(3, 6, 9, 9, 11, 3, pad=1, group=2),
    "several tasks of channels": case(1, 101, 5, 7, 6, 3, pad=1),
    "several pieces of the depth": case(1, 3, 5, 7, 700, 3, pad=1),
    "lines worked on in turn": case(1, 2, 70, 65, 3, 3, pad=1),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_definition(name):
    check_data_gradient(scatter, CASES[name])


@pytest.mark.parametrize("threads", [1, 2, 16])
@pytest.mark.parametrize("name", CASES)
def test_tasks_cover_all_channels(name, threads):
    g = geometry_of(CASES[name])
    cut = plan(g, threads, LANES)
    b = DataGradientBlocking(*cut.blocks)
    per_group = g.C // g.group
    assert cut.tasks == b.tasks == g.N * g.group * -(-per_group // b.channels)
    assert b.width % (LANES // 2) == 0
    assert g.Q <= b.width < g.Q + LANES // 2
    assert b.channels <= 48
    places = sorted((job[7], job[2] * job[5]) for job in cut.jobs.tolist())
    assert all(at + size == then for (at, size), (then, _) in itertools.pairwise(places))
    assert sum(places[-1]) == g.M * per_group * g.kernel_h * g.kernel_w


@pytest.mark.parametrize(
    ("layer", "flipped"),
    [
        (case(1, 5, 16, 16, 7, 3, pad=1), True),
        (case(1, 5, 16, 16, 7, 3, pad=1, stride=2), False),
        (case(1, 5, 16, 16, 7, 3, pad=3), False),  # dy would be cut, not padded
        (case(1, 5, 16, 16, 7, 5), False),  # twice as many results as dy has
        (case(1, 1, 16, 16, 1, 5, group=3), True),  # depthwise
        (case(9, 40, 13, 13, 64, 3, pad=1), True),  # by Winograd's algorithm
    ],
)
def test_it_is_a_convolution_with_the_flipped_kernels_if_that_has_few_results(layer, flipped):
    g = geometry_of(layer)
    of_dy = convolution._flipped(g, WIDE)
    assert (of_dy is not None) == flipped
    if flipped:
        assert (of_dy.C, of_dy.M, of_dy.P * of_dy.Q) == (g.M, g.C, g.H * g.W)


@serial_kernel
def widen_some(dy, at, plane, depth, lines, count, width, step, out):
    widen(dy, at, plane, depth, lines, count, width, step, out)


@pytest.mark.parametrize(
    ("count", "width"), [(1, LANES // 2), (LANES - 1, LANES), (LANES + 1, 3 * LANES // 2)]
)
def test_lines_of_dy_end_in_zeros(count, width):
    """Of four lines the second and third, of three channels."""
    dy = at_the_end_of_memory(np.arange(1, 12 * count + 1, dtype=np.float32).reshape(3, 4, count))
    step, room = 2 * width + LANES, 2 * LANES
    out = guarded_nans(3 * step + room, np.float32)
    widen_some(dy.reshape(-1), count, 4 * count, 3, 2, count, width, step, out)
    assert margins_untouched(out)
    lines = out[: 3 * step].reshape(3, step)[:, : 2 * width].reshape(3, 2, width)
    assert np.array_equal(lines[..., :count], dy[:, 1:3])
    assert not lines[..., count:].any()
