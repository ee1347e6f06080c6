"""Which pixels a column holds, however the image is read: where it stands, or staged."""

import itertools

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution.geometry import (
    _long_lines,
    gather,
    geometry_of,
    inside,
    list_columns,
    stage,
    staged_lines,
    taps,
    unstage,
)
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from tests.kernels.convolution import cases
from tests.kernels.convolution.cases import LANES, case, columns, outputs_of
from tests.kernels.guarded import at_the_end_of_memory, guarded_nans, margins_untouched

CASES = {
    "bare": case(2, 3, 9, 11, 1, 3),
    "bare, dilated": case(1, 2, 12, 11, 1, (2, 3), dilation=(3, 2)),
    "bare, every second line": case(1, 2, 9, 40, 1, 3, stride=(2, 1)),
    "padded": case(2, 3, 7, 18, 1, 3, pad=(2, 1)),
    "wider padding than image": case(1, 1, 2, 1, 1, 3, pad=6),
    "stride 2": case(2, 2, 11, 40, 1, 3, pad=1, stride=2),
    "pixels that no window holds": case(1, 2, 9, 9, 1, 2, stride=2),
    "stride 4": case(1, 3, 23, 70, 1, 11, pad=3, stride=4),
    "stride 3, dilated": case(1, 2, 20, 21, 1, (3, 2), pad=(0, 2), stride=3, dilation=(1, 4)),
    "stride beyond the kernel": case(1, 2, 13, 17, 1, (1, 2), stride=(5, 3)),
    "point": case(1, 2, 5, 6, 1, 1),
}


@serial_kernel
def col_of(x, sizes, c0, c1, p0, lines, rows, taps, room, out, ld):
    """Columns of channels c0..c1 and some lines of results of all images; row k of out is tap k."""
    g = geometry_of(sizes)
    if g.bare:
        b, bo, b_image = x, c0 * g.H * g.W + p0 * g.stride_h * g.line, g.C * g.H * g.W
    else:
        stage(x, g, 0, g.N, c0, c1, p0 * g.stride_h, rows, room)
        b, bo, b_image = room, 0, (c1 - c0) * rows * g.line
    area = g.kernel_h * g.kernel_w
    gather(b, bo, taps, 0, (c1 - c0) * area, g.N, lines, g.Q, b_image, g.stride_h * g.line, out, ld)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("p0", [0, 1])
def test_columns_are_those_of_the_definition(name, p0):
    """All lines, and those from the second on, of all channels but the first."""
    layer = CASES[name]
    g, (x, *_) = cases.geometry_of(layer), cases.arrays(layer, np.float32)
    c0, lines = min(p0, g.C - 1), g.P - min(p0, g.P - 1)
    p0 = g.P - lines
    rows, channels = staged_lines(g, lines), g.C - c0
    where = taps(g, channels, g.H * g.W if g.bare else rows * g.line)
    count = g.N * lines * g.Q
    ld = -(-count // (2 * LANES)) * 2 * LANES + LANES
    room = guarded_nans(g.N * channels * rows * g.line + LANES, np.float32)
    out = guarded_nans((len(where), ld), np.float32)
    col_of(
        at_the_end_of_memory(x).reshape(-1),
        np.array(g),
        c0,
        g.C,
        p0,
        lines,
        rows,
        where,
        room,
        out.reshape(-1),
        ld,
    )
    wanted, *_ = columns(x, layer["window"], outputs_of(layer))
    wanted = wanted.reshape(g.N, g.C, -1, *outputs_of(layer)[2:])  # of the image as it was before it was cut
    wanted = wanted.reshape(g.N, g.C, g.kernel_h * g.kernel_w, g.P, g.Q)[:, c0:, :, p0:]
    wanted = wanted.transpose(1, 2, 0, 3, 4).reshape(len(where), count)
    assert np.array_equal(out[:, :count], wanted)
    assert margins_untouched(out)
    assert margins_untouched(room)


@serial_kernel
def back_and_forth(x, sizes, rows, room, dx):
    g = geometry_of(sizes)
    for n in range(g.N):
        stage(x, g, n, n + 1, 0, g.C, 0, rows, room)
        unstage(room, g, n, 0, g.C, rows, dx)


# Bare images are not staged, and of those with a stride beyond the kernel not all lines are.
@pytest.mark.parametrize(
    "name", [name for name in CASES if not name.startswith(("bare", "point", "stride beyond"))]
)
def test_unstaging_puts_pixels_back_and_zeros_where_nothing_was_read(name):
    layer = CASES[name]
    g, (x, *_) = cases.geometry_of(layer), cases.arrays(layer, np.float32)
    rows, dx = staged_lines(g, g.P), guarded_nans(x.shape, np.float32)
    back_and_forth(
        at_the_end_of_memory(x).reshape(-1),
        np.array(g),
        rows,
        np.empty(g.C * rows * g.line + LANES, np.float32),
        dx.reshape(-1),
    )
    h, w = np.arange(g.H) + g.pad_h, np.arange(g.W) + g.pad_w
    there = (h < rows)[:, None] & (w % g.stride_w < g.phases) & (w // g.stride_w < g.run)
    assert np.array_equal(dx, np.where(there, x, 0))
    assert margins_untouched(dx)


@pytest.mark.parametrize(
    ("layer", "bare"),
    [
        (case(1, 1, 5, 5, 1, 3), True),
        (case(1, 1, 5, 5, 1, 3, stride=(2, 1)), True),
        (case(1, 1, 5, 5, 1, 3, stride=(1, 2)), False),
        (case(1, 1, 5, 5, 1, 3, pad=(1, 0)), False),
        (case(1, 1, 5, 5, 1, 3, pad=(0, 1)), False),
    ],
)
def test_an_image_is_read_where_it_stands_if_lines_of_columns_are_runs(layer, bare):
    assert cases.geometry_of(layer).bare == bare


@pytest.mark.parametrize("P", [*range(1, 40), 55, 112, 224])
@pytest.mark.parametrize("Q", [1, 7, 13, 28, 56, 113, 224])
def test_images_are_cut_into_lines_that_fill_vectors(P, Q):
    lines, width = _long_lines(P, Q)
    assert lines * width == P * Q
    assert width <= 512
    if P * Q % 8 == 0 and P * Q <= 512:
        assert width % 8 == 0
    if P * Q % 64 == 0:
        assert lines % 2 == 0 or 64 * lines == P * Q, "an even number of lines is shared out more evenly"


def test_a_point_kernel_keeps_its_pixels_and_no_other_kernel_is_cut_anew():
    point, strided = (
        cases.geometry_of(case(1, 2, 6, 24, 3, 1)),
        cases.geometry_of(case(1, 2, 6, 24, 3, 1, stride=2)),
    )
    assert (point.H, point.W) == (point.P, point.Q)
    assert point.P * point.Q == 6 * 24
    assert point.Q % 8 == 0
    assert (strided.H, strided.W, strided.P, strided.Q) == (6, 24, 3, 12)


def test_values_inside():
    for at, stride, count, size in itertools.product(range(-7, 9), (1, 2, 3), range(5), range(6)):
        low, high = inside.py_func(at, stride, count, size)
        assert 0 <= low <= high <= count
        wanted = [i for i in range(count) if 0 <= at + i * stride < size]
        assert list(range(low, high)) == wanted


@serial_kernel
def list_some(images, lines, width, step, image, line, out):
    return list_columns(images, lines, width, step, image, line, out)


def test_columns_are_listed_image_by_image():
    out = np.full(20, -1)
    assert list_some(2, 3, 5, 2, 100, 10, out) == 18
    assert out[:18].tolist() == [n * 100 + p * 10 + q for n in range(2) for p in range(3) for q in (0, 2, 4)]
    assert out[18:].tolist() == [-1, -1]
