"""Depthwise convolution of any kernel."""

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution import depthwise, depthwise_small
from tests.kernels.convolution.cases import (
    LANES,
    bits_of,
    case,
    check_flipped,
    check_product,
    geometry_of,
    limits,
)

# None of them is one of the small kernels that have an algorithm of their own.
CASES = {
    "one pixel": case(1, 1, 1, 1, 1, 1, group=2),
    "shorter lines than a vector": case(2, 1, 9, 5, 1, (3, 2), group=3),
    "lines of a vector and a tail": case(1, 1, 7, LANES + 5, 1, 4, pad=1, group=2),
    "two outputs for each channel": case(2, 1, 8, 20, 2, (5, 3), pad=(2, 1), group=3),
    "strides": case(1, 1, 21, 40, 1, 3, pad=1, stride=3, group=2),
    "dilated": case(1, 1, 20, 23, 1, 3, pad=4, dilation=(2, 4), group=2),
    "staged in parts, the last of which overlap": case(1, 1, 91, 150, 1, 7, pad=3, group=2),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_definition(name):
    assert depthwise.suits(geometry_of(CASES[name]))
    assert not depthwise_small.suits(geometry_of(CASES[name]))
    check_product(depthwise.depthwise_product, CASES[name])


@pytest.mark.parametrize("name", ["lines of a vector and a tail", "dilated"])
def test_flipped_kernels_are_gathered(name):
    check_flipped(depthwise.depthwise_product, CASES[name])


def test_it_is_for_a_channel_in_each_group_and_sums_in_one_register():
    assert not depthwise.suits(geometry_of(case(1, 2, 9, 9, 2, 3, group=2)))
    assert not depthwise.suits(geometry_of(case(1, 1, 9, 9, 4, 3)))
    assert depthwise.suits(geometry_of(case(1, 1, 40, 40, 1, 32, group=2)))
    assert not depthwise.suits(geometry_of(case(1, 1, 40, 40, 1, (32, 33), group=2)))


def test_as_many_lines_are_staged_as_stay_in_the_cache():
    for width, stride in ((30, 1), (500, 1), (5000, 2)):
        g = geometry_of(case(1, 1, 60, width, 1, 4, pad=1, stride=stride, group=2))
        plan = depthwise.plan(g, LANES)
        staged = plan.workspace - 2 * LANES
        assert 1 <= plan.lines <= g.P
        assert staged <= depthwise.STAGED or plan.lines == 1
        runs = plan.sites.tolist()
        assert sum(count for *_, count in runs[: plan.lines * -(-g.Q // LANES)]) == plan.lines * g.Q
        assert runs[-1] == runs[-depthwise.LINE_VECTORS], "a tile may read so many runs beyond the last"


def test_weights_stay_where_they_are_if_that_can_be():
    g = geometry_of(case(1, 1, 9, 9, 2, 3, group=2))
    w, scale = np.ones((4, 1, 3, 3), np.float32), np.arange(4, dtype=np.float32)
    in_order = depthwise.weights_in_order(g)
    assert np.shares_memory(depthwise._weights_by_channel(w, scale[:0], g, in_order), w)
    assert depthwise._weights_by_channel(w, scale, g, in_order)[::9].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", CASES)
def test_results_do_not_depend_on_how_many_lines_are_staged(name):
    bits = bits_of(depthwise.depthwise_product, CASES[name])
    with limits(depthwise, depthwise.plan, STAGED=1):
        assert bits_of(depthwise.depthwise_product, CASES[name]) == bits
