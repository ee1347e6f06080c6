"""Depthwise convolution with the common small kernels."""

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution import depthwise, depthwise_small
from pycaffe_lite.kernels.convolution.depthwise_small import STAGED, Planes, _stage, plan, planes_of, suits
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.simd.tiles import tile_table
from tests.kernels.convolution.cases import (
    LANES,
    arrays,
    bits_of,
    case,
    check_flipped,
    check_product,
    geometry_of,
    limits,
)
from tests.kernels.guarded import at_the_end_of_memory

CASES = {
    "one pixel in a wide border": case(2, 1, 1, 1, 1, 3, pad=3, group=3),
    "shorter lines than a vector": case(1, 1, 6, LANES - 1, 1, 3, pad=1, group=5),
    "many small planes in a task": case(1, 1, 7, 7, 1, 3, pad=1, group=120),
    "lines of a vector and a tail": case(2, 1, 9, LANES + 1, 1, 5, pad=2, group=2),
    "whole vectors": case(1, 1, 8, 2 * LANES, 1, 3, pad=1, group=2),
    "two outputs for each channel": case(2, 1, 8, 20, 2, 3, pad=(0, 1), group=3),
    "stride 2": case(2, 1, 15, 2 * LANES + 3, 1, 3, pad=1, stride=2, group=3),
    "stride 2 along lines alone": case(1, 1, 15, 37, 1, 5, pad=(1, 2), stride=(1, 2), group=2),
    "short lines, staged in parts": case(2, 1, 487, 7, 2, 3, pad=1, group=2),
    "long lines, staged in parts": case(1, 1, 121, 150, 1, 5, pad=2, stride=2, group=2),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_definition(name):
    assert suits(geometry_of(CASES[name]))
    check_product(depthwise.depthwise_product, CASES[name])


@pytest.mark.parametrize("name", ["shorter lines than a vector", "lines of a vector and a tail"])
def test_flipped_kernels(name):
    check_flipped(depthwise.depthwise_product, CASES[name])


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "small"),
    [(3, 1, 1, True), (5, 2, 1, True), (3, (2, 1), 1, True), (4, 1, 1, False), ((3, 5), 1, 1, False),
     (3, 3, 1, False), (3, (1, 3), 1, False), (3, 1, 2, False)],
)  # fmt: skip
def test_it_is_for_3x3_and_5x5_with_strides_1_and_2(kernel, stride, dilation, small):
    assert suits(geometry_of(case(1, 1, 20, 20, 1, kernel, 2, stride, dilation, group=2))) == small


@pytest.mark.parametrize("name", CASES)
def test_what_is_staged_stays_in_the_cache_and_has_room_for_whole_vectors(name):
    g = geometry_of(CASES[name])
    cut = plan(g, 4)
    s = Planes(*cut.sizes)
    assert s.together * s.staged * s.line * 4 <= STAGED or s.together == s.lines == 1
    assert s.run * s.stride_w <= s.line
    assert s.pad_w + max(s.W, LANES * s.stride_w) <= s.line
    assert s.staged == (s.lines - 1) * s.stride_h + g.kernel_h
    assert cut.tasks * s.together >= s.planes
    assert np.all(cut.taps < s.line)


@serial_kernel
def stage_one(tiles, x, sizes, plane, first, out):
    _stage(tiles, x, planes_of(sizes), plane, first, out, 0)


@pytest.mark.parametrize("name", CASES)
def test_staged_lines_lie_between_zeros(name):
    """With stride 2 along lines, even and odd pixels are apart. The last plane, at the end of memory."""
    g, (x, *_) = geometry_of(CASES[name]), arrays(CASES[name], np.float32)
    cut = plan(g, 4)
    s, tiles = Planes(*cut.sizes), tile_table(x.dtype)
    for first in {-s.pad_h, (s.P - s.lines) * s.stride_h - s.pad_h}:
        out = np.zeros(s.staged * s.line + 2 * LANES, np.float32)
        stage_one(tiles, at_the_end_of_memory(x).reshape(-1), cut.sizes, s.planes - 1, first, out)
        padded = np.zeros((s.staged, s.line), np.float32)
        for r in range(s.staged):
            if 0 <= first + r < s.H:
                padded[r, s.pad_w : s.pad_w + s.W] = x[-1, -1, first + r]
        runs = padded.reshape(s.staged, -1, s.stride_w).swapaxes(1, 2)  # every stride_w-th pixel together
        got = out[: s.staged * s.line].reshape(s.staged, s.stride_w, s.run)
        assert np.array_equal(got, runs)


@pytest.mark.parametrize("name", CASES)
def test_results_do_not_depend_on_how_planes_are_cut(name):
    bits = bits_of(depthwise.depthwise_product, CASES[name])
    with limits(depthwise_small, plan, STAGED=4, TASK=1):
        assert (
            plan(geometry_of(CASES[name]), 4).tasks == geometry_of(CASES[name]).N * geometry_of(CASES[name]).C
        )
        assert bits_of(depthwise.depthwise_product, CASES[name]) == bits
