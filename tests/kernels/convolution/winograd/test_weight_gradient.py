"""The weight gradient by Winograd's algorithms."""

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution.winograd import weight_gradient
from pycaffe_lite.kernels.convolution.winograd.forward import LEAST_CHANNELS
from pycaffe_lite.kernels.convolution.winograd.transforms import (
    ALGORITHMS,
    DY_OF_CHANNELS,
    transform_number,
    transform_table,
)
from pycaffe_lite.kernels.convolution.winograd.weight_gradient import (
    LEAST_TILES,
    MOST_TILES,
    _shape_of_task,
    accumulate_by_winograd,
    plan,
    suits,
    transform_line,
)
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from tests.kernels.convolution.cases import (
    LANES,
    WIDE,
    arrays,
    case,
    check_weight_gradient,
    geometry_of,
    limits,
)
from tests.kernels.guarded import at_the_end_of_memory, guarded_nans, margins_untouched

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
    check_weight_gradient(accumulate_by_winograd, SMALL[name], weight_gradient, winograd=True)


@pytest.mark.parametrize("name", LARGE)
def test_larger_kernels_equal_the_definition(name):
    check_weight_gradient(accumulate_by_winograd, LARGE[name], weight_gradient, winograd=True, errs=8)


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


@serial_kernel
def transform_one(table, number, dy, Q, below, wide, out, places):
    transform_line(table, number, dy, 0, Q, below, wide, out, 0, places)


@pytest.mark.parametrize("size", ALGORITHMS)
@pytest.mark.parametrize("Q", [1, 2, 7, 8])
@pytest.mark.parametrize("below", [False, True])
def test_a_line_of_tiles_ends_in_zeros(size, Q, below):
    """Two lines of dy, channels side by side; the second one is not there below an odd number of lines."""
    wide, tiles, places = 2 * LANES, (Q + 1) // 2, (size + 1) ** 2
    dy = np.random.default_rng(0).standard_normal((2, Q, wide)).astype(np.float32)
    there = np.zeros((2, 2 * tiles, wide))
    there[: 1 + below, :Q] = dy[: 1 + below]
    out = guarded_nans((places, tiles, wide), np.float32)
    given = at_the_end_of_memory(dy if below else dy[:1]).reshape(-1)
    number = transform_number(size, DY_OF_CHANNELS)
    transform_one(transform_table(dy.dtype), number, given, Q, below, wide, out.reshape(-1), tiles * wide)
    A = np.array(ALGORITHMS[size].results, float)
    wanted = np.einsum("ia,itjw,jb->abtw", A, there.reshape(2, tiles, 2, wide), A)
    assert np.allclose(out, wanted.reshape(places, tiles, wide), atol=1e-5)
    assert margins_untouched(out)


@pytest.mark.parametrize(("channels", "phases", "vectors"), [(48, 1, 4), (300, 1, 9), (48, 16, 6), (5, 1, 1)])
@pytest.mark.parametrize("blocks", [1, 2, 7])
def test_tasks_are_blocks_of_whole_panels_and_all_phases(channels, phases, vectors, blocks):
    filled = vectors * LANES
    width, height, across = _shape_of_task(channels, phases, filled, blocks, 1000, LANES)
    assert width % phases == 0
    assert 1 <= width <= channels
    assert across == 1 or height * (across - 1) < filled
    down = -(-channels // width)
    assert across * down >= min(blocks, channels // phases)
    assert (across, down) == (1, 1) or blocks > 1, "nothing is transformed twice without need"


def bits_of(layer):
    x, w, dy, _ = arrays(layer, np.float32)
    accumulate_by_winograd(x, dy, w, geometry_of(layer), True)
    return w.tobytes()


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_results_do_not_depend_on_the_blocks(name):
    """Chunks and parts stay as they are; with small blocks, dy is transposed beforehand."""
    layer = {**SMALL, **LARGE}[name]
    bits = bits_of(layer)
    with limits(weight_gradient, plan, MOST_SUMS=30 * LANES, MOST_PIXELS=1):
        assert bits_of(layer) == bits
