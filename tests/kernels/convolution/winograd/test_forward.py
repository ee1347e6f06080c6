"""Forward convolution by Winograd's algorithms: for which layers, how it is cut, and what it gives."""

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution.phases import without_stride
from pycaffe_lite.kernels.convolution.winograd.forward import (
    LEAST_CHANNELS,
    LEAST_OUTPUTS,
    LEAST_TILES,
    applies,
    cut_evenly,
    cut_tiles,
    gain,
    ones,
    suits,
    winograd_product,
)
from pycaffe_lite.kernels.simd.tiles import panel_start
from tests.kernels.convolution.cases import LANES, WIDE, case, check_flipped, check_product, geometry_of

# kernel size, stride 1
SMALL = {
    "one tile": case(1, 2, 2, 2, 3, 3, pad=1),
    "odd lines and columns": case(2, 5, 7, 9, LANES, 3, pad=1),
    "one line and one column": case(1, 5, 3, 3, LANES, 3),
    "wide border": case(2, 5, 4, 6, LANES, 3, pad=(2, 0)),
    "groups, outputs beyond whole vectors": case(3, 6, 9, 9, LANES + 3, 3, pad=1, group=2),
    "several images in a task, and fewer in the last": case(7, 18, 5, 5, 2 * LANES, 3, pad=1),
    "several lines of tiles in a task": case(1, 150, 40, 18, LANES, 3, pad=1),
    "more channels than in a piece of the sum": case(2, 140, 6, 6, LANES, 3, pad=1),
    "several panels of outputs": case(2, 4, 6, 6, 7 * LANES, 3, pad=1),
}
LARGE = {
    "5x5": case(2, 5, 9, 8, LANES, 5, pad=2),
    "5x5 without a border": case(3, 5, 11, 12, 2 * LANES + 1, 5, group=2),
    "11x11 with stride 4": case(2, 2, 31, 27, LANES, 11, stride=4),
    "6x6 with stride 2, padded": case(3, 3, 13, 17, LANES + 1, 6, pad=1, stride=2, group=2),
    "9x9 with stride 2": case(1, 2, 21, 23, LANES, 9, pad=2, stride=2),
}


@pytest.mark.parametrize("name", SMALL)
def test_3x3_kernels_equal_the_definition(name):
    check_product(winograd_product, SMALL[name], winograd=True)


@pytest.mark.parametrize("name", LARGE)
def test_larger_kernels_equal_the_definition(name):
    check_product(winograd_product, LARGE[name], winograd=True, errs=4)


def test_flipped_kernels():
    check_flipped(winograd_product, SMALL["groups, outputs beyond whole vectors"], winograd=True)
    check_flipped(winograd_product, LARGE["5x5"], winograd=True, errs=4)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "known"),
    [(3, 1, 1, True), (5, 1, 1, True), (4, 1, 1, False), ((3, 5), 1, 1, False), (3, 1, 2, False),
     (11, 4, 1, True), (9, 2, 1, True), (6, 2, 1, True), (3, 2, 1, False), (7, 2, 1, False),
     (9, (2, 3), 1, False),
     (3, 3, 1, False), (1, 1, 1, False)],
)  # fmt: skip
def test_kernels_with_an_algorithm(kernel, stride, dilation, known):
    assert applies(geometry_of(case(1, 16, 40, 40, 16, kernel, 0, stride, dilation))) == known


def test_products_that_are_saved():
    def gain_of(layer):
        g = geometry_of(layer)
        return gain(g, g.M // g.group, WIDE)

    assert gain_of(case(1, 16, 9, 9, WIDE, 3)) == 36 / 16
    assert gain_of(case(1, 16, 9, 9, WIDE, 5)) == 100 / 36
    assert gain_of(case(1, 16, 9, 9, WIDE + 1, 3)) == pytest.approx(36 / 16 * (WIDE + 1) / (2 * WIDE))
    assert gain_of(case(1, 3, 51, 51, WIDE, 11, stride=4)) == pytest.approx(4 * 121 / (16 * 16))
    assert gain_of(case(1, 16, 9, 9, WIDE, 4)) == 0


def test_it_pays_for_many_channels_outputs_and_tiles():
    least = case(3, LEAST_CHANNELS, 4, 4, LEAST_OUTPUTS, 3, pad=1)
    assert LEAST_TILES == 3 * 4
    assert suits(geometry_of(least), WIDE)
    for fewer in (
        case(3, LEAST_CHANNELS - 1, 4, 4, LEAST_OUTPUTS, 3, pad=1),
        case(3, LEAST_CHANNELS, 4, 4, LEAST_OUTPUTS - 1, 3, pad=1),
        case(2, LEAST_CHANNELS, 4, 4, LEAST_OUTPUTS, 3, pad=1),
        case(3, 2048, 4, 4, 1024, 3, pad=1),  # too many kernels to transform
    ):
        assert not suits(geometry_of(fewer), WIDE)


@pytest.mark.parametrize("most", [1, 7, 64, 1000])
@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_tasks_of_tiles(name, most):
    image = geometry_of({**SMALL, **LARGE}[name])
    g = without_stride(image)
    tiles = cut_tiles(g, most, LANES, image.stride_h)
    P, Q = (g.P + 1) // 2, (g.Q + 1) // 2
    assert tiles.images * tiles.lines * Q <= max(most, Q)
    assert tiles.images == 1 or tiles.lines == P
    assert tiles.width % tiles.run == 0
    assert Q <= tiles.width < Q + tiles.run
    assert LANES % tiles.run == 0
    assert tiles.rows == 2 * tiles.lines + g.kernel_h - 1
    assert tiles.line >= 2 * tiles.width + g.kernel_w - 1
    assert tiles.length >= tiles.images * tiles.lines * tiles.width
    assert (tiles.length // LANES) % 2 == 1
    assert tiles.room >= tiles.images * tiles.rows * tiles.line * image.stride_h**2 + LANES


def test_blocks_of_output_channels_start_with_panels():
    assert cut_evenly(LANES, 4, LANES)[1] == 1
    for vectors in (2, 4, 7, 12):
        height, blocks = cut_evenly(vectors * LANES, 3, LANES)
        panels = {panel_start.py_func(i, vectors * LANES, LANES) for i in range(vectors)}
        assert {block * height for block in range(blocks)} <= panels
        assert blocks <= 3


def test_ones_are_kept():
    assert ones(5, np.dtype(np.float32)) is ones(5, np.dtype(np.float32))
    assert ones(5, np.dtype(np.float32)).tolist() == [1] * 5
