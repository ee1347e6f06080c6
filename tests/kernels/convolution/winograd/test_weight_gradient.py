"""The weight gradient by Winograd's algorithms."""

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution.winograd.forward import LEAST_CHANNELS
from pycaffe_lite.kernels.convolution.winograd.weight_gradient import (
    LEAST_TILES,
    MOST_TILES,
    accumulate_by_winograd,
    plan,
    suits,
)
from tests.kernels.convolution.cases import LANES, WIDE, case, check_weight_gradient, geometry_of

SMALL = {
    "one tile": case(1, 2, 2, 2, 3, 3, pad=1),
    "odd lines and columns": case(2, 5, 7, 9, LANES, 3, pad=1),
    "one line and one column": case(1, 5, 3, 3, LANES, 3),
    "groups, outputs beyond whole vectors": case(3, 6, 9, 9, LANES + 3, 3, pad=1, group=2),
    "several chunks and parts": case(9, 18, 12, 12, LANES, 3, pad=1),
    "a line of more tiles than a chunk": case(1, 2, 4, 600, LANES, 3, pad=1),
    "several blocks of outputs": case(2, 90, 6, 6, 20 * LANES, 3, pad=1),
    "several blocks of channels": case(2, 600, 6, 6, LANES, 3, pad=1),
}
LARGE = {
    "5x5": case(2, 5, 9, 8, LANES, 5, pad=2),
    "5x5 without a border": case(3, 5, 11, 12, 2 * LANES + 1, 5, group=2),
    "11x11 with stride 4": case(2, 2, 31, 27, LANES, 11, stride=4),
    "6x6 with stride 2, padded": case(3, 3, 13, 17, LANES + 1, 6, pad=1, stride=2, group=2),
}


@pytest.mark.parametrize("name", SMALL)
def test_3x3_kernels_equal_the_definition(name):
    check_weight_gradient(accumulate_by_winograd, SMALL[name], winograd=True)


@pytest.mark.parametrize("name", LARGE)
def test_larger_kernels_equal_the_definition(name):
    check_weight_gradient(accumulate_by_winograd, LARGE[name], winograd=True, errs=8)


def test_it_pays_for_many_channels_and_tiles():
    least = geometry_of(case(LEAST_TILES // 4, LEAST_CHANNELS, 4, 4, 2 * WIDE, 3, pad=1))
    assert suits(least, WIDE)
    assert not suits(least._replace(N=LEAST_TILES // 4 - 1), WIDE)
    assert not suits(least._replace(C=LEAST_CHANNELS - 1), WIDE)
    long = case(1, LEAST_CHANNELS, 2, 2 * MOST_TILES, 2 * WIDE, 3, pad=1)
    assert suits(geometry_of(long), WIDE)
    assert not suits(geometry_of(long)._replace(Q=2 * MOST_TILES + 1), WIDE)


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_chunks_and_parts_do_not_depend_on_threads(name):
    g = geometry_of({**SMALL, **LARGE}[name])
    few, many = (plan(g, threads, LANES) for threads in (1, 16))
    assert np.array_equal(few.tiles, many.tiles)
    assert few.cut.parts == many.cut.parts
    assert few.cut.width * few.cut.height * few.cut.blocks > 0


def test_dy_is_transposed_once_if_several_blocks_of_channels_read_it():
    assert plan(geometry_of(SMALL["several blocks of channels"]), 2, LANES).cut.transposed
    assert not plan(geometry_of(SMALL["several chunks and parts"]), 1, LANES).cut.transposed


def test_long_sums_do_not_lose_digits():
    """Equal terms over 160,000 positions."""
    layer = case(1, 2, 400, 400, LANES, 3, pad=1)
    g = geometry_of(layer)
    assert plan(g, 1, LANES).cut.totals > 0
    x, dy = np.full(layer["x"], 0.3, np.float32), np.full((1, LANES, 400, 400), 0.7, np.float32)
    dw = np.empty(layer["w"], np.float32)
    accumulate_by_winograd(x, dy, dw, g, False)
    exact = 160_000 * float(x.flat[0]) * float(dy.flat[0])
    assert np.all(abs(dw[:, :, 1, 1] - exact) <= 5e-6 * exact)
