"""The data gradient by Winograd's algorithms, tile by tile."""

import pytest

from pycaffe_lite.kernels.convolution.winograd.data_gradient import (
    LEAST_GAIN,
    LEAST_IMAGES,
    MOST_TILES,
    add_tiles,
    plan,
    suits,
)
from pycaffe_lite.kernels.convolution.winograd.forward import gain
from tests.kernels.convolution.cases import LANES, WIDE, case, check_data_gradient, geometry_of

SMALL = {
    "one tile": case(1, 2, 4, 4, 3, 3),
    "odd lines and columns": case(2, 5, 9, 11, 7, 3),
    "padded": case(2, LANES + 3, 8, 2 * LANES, 5, 3, pad=1),
    "images wider than the results reach": case(2, 5, 9, 10, 7, 3, pad=(1, 0)),
    "groups": case(3, 6, 9, 9, 5, 3, pad=1, group=2),
    "several images in a vector, and fewer in the last task": case(33, 18, 8, 8, 9, 3),
    "more channels than in a piece of the sum": case(2, 6, 6, 6, 140, 3, pad=1),
    "several panels of channels": case(2, 4 * LANES + 2, 6, 6, 5, 3, pad=1),
}
LARGE = {
    "5x5": case(2, 5, 9, 8, 9, 5, pad=2),
    "5x5 without a border": case(9, 5, 12, 12, 7, 5, group=2),
}


@pytest.mark.parametrize("name", SMALL)
def test_3x3_kernels_equal_the_definition(name):
    check_data_gradient(add_tiles, SMALL[name], winograd=True)


@pytest.mark.parametrize("name", LARGE)
def test_5x5_kernels_equal_the_definition(name):
    check_data_gradient(add_tiles, LARGE[name], winograd=True, errs=4)


def test_it_is_for_many_small_images():
    layer = geometry_of(case(LEAST_IMAGES, 2 * WIDE, 12, 12, 32, 5))
    assert gain(layer, 2 * WIDE, WIDE) >= LEAST_GAIN
    assert suits(layer, WIDE)
    assert not suits(layer._replace(N=LEAST_IMAGES - 1), WIDE)
    assert not suits(geometry_of(case(LEAST_IMAGES, 2 * WIDE, 12, 12, 15, 5)), WIDE)
    assert not suits(geometry_of(case(LEAST_IMAGES, 2 * WIDE, 27, 27, 32, 6, stride=2)), WIDE)
    side = 2 * int(MOST_TILES**0.5)
    assert suits(geometry_of(case(LEAST_IMAGES, 2 * WIDE, side, side, 32, 3, pad=1)), WIDE)
    assert not suits(geometry_of(case(LEAST_IMAGES, 2 * WIDE, side + 2, side, 32, 3, pad=1)), WIDE)


def test_tasks_are_whole_images():
    for images in (1, LEAST_IMAGES, 100):
        g = geometry_of(case(images, 20, 8, 8, 16, 3))
        cut, *_, tiles, _, _, _, _ = plan(g, LANES)
        together, lines = tiles[:2]
        assert lines == (g.P + 1) // 2
        assert cut.tasks == -(-images // together)
        assert cut.tasks >= min(images, LEAST_IMAGES)
