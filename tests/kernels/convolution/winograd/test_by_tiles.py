"""Forward convolution by Winograd's algorithms with vectors of tiles."""

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution.weights import weights_in_order
from pycaffe_lite.kernels.convolution.winograd import by_tiles, forward
from pycaffe_lite.kernels.convolution.winograd.by_tiles import (
    LEAST_TASKS,
    multiply_by_tiles,
    plan,
    product_by_tiles,
    suits,
)
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.simd.tiles import tile_table
from tests.kernels.convolution.cases import (
    LANES,
    WIDE,
    bits_of,
    case,
    check_flipped,
    check_product,
    geometry_of,
    limits,
)
from tests.kernels.guarded import guarded_nans, margins_untouched

SMALL = {
    "one tile": case(1, 2, 2, 2, 3, 3, pad=1),
    "odd lines and columns": case(2, 5, 7, 9, LANES + 2, 3, pad=1),
    "whole lines of results": case(2, 5, 8, 2 * LANES, 5, 3, pad=1),
    "groups": case(3, 6, 9, 9, LANES + 3, 3, pad=1, group=2),
    "several images in a vector, and fewer in the last task": case(9, 18, 8, 8, 9, 3),
    "several tasks of lines": case(1, 5, 50, 30, 9, 3, pad=1),
    "more channels than in a piece of the sum": case(2, 140, 6, 6, 9, 3, pad=1),
    "several panels of outputs": case(2, 4, 6, 6, 4 * LANES + 2, 3, pad=1),
}
LARGE = {
    "5x5": case(2, 5, 9, 8, 9, 5, pad=2),
    "5x5 without a border": case(9, 5, 10, 10, LANES + 1, 5, group=2),
}


@pytest.mark.parametrize("name", SMALL)
def test_3x3_kernels_equal_the_definition(name):
    check_product(product_by_tiles, SMALL[name], winograd=True)


@pytest.mark.parametrize("name", LARGE)
def test_5x5_kernels_equal_the_definition(name):
    check_product(product_by_tiles, LARGE[name], winograd=True, errs=4)


def test_flipped_kernels():
    check_flipped(product_by_tiles, SMALL["groups"], winograd=True)
    check_flipped(product_by_tiles, LARGE["5x5"], winograd=True, errs=4)


def test_it_is_for_outputs_that_leave_vectors_unfilled_and_enough_tasks():
    layer = case(32, 20, 10, 10, 3 * WIDE + WIDE // 2, 3)
    g = geometry_of(layer)
    assert forward.suits(g, WIDE)
    assert suits(g, WIDE)
    assert not suits(geometry_of(case(32, 20, 10, 10, 4 * WIDE, 3)), WIDE), "outputs fill vectors"
    assert not suits(g._replace(N=2), WIDE), "cores would be left without work"
    assert not suits(geometry_of(case(32, 20, 40, 40, 3 * WIDE + WIDE // 2, 9, stride=3)), WIDE)
    assert plan(g, weights_in_order(g), WIDE).cut.tasks >= LEAST_TASKS


@serial_kernel
def multiply(
    micro, u, of_weights, width, height, rows, channels, pixels, of_pixels, ld, vectors, products, places
):
    multiply_by_tiles(
        micro,
        3,
        u,
        0,
        of_weights,
        width,
        height,
        rows,
        channels,
        pixels,
        of_pixels,
        ld,
        vectors,
        products,
        places,
    )


@pytest.mark.parametrize(
    ("channels", "height", "vectors"), [(1, 1, 1), (forward.DEPTH + 3, LANES - 1, 2), (7, 2 * LANES, 5)]
)
def test_products_of_each_place(channels, height, vectors):
    """Of a panel's channels only so many rows, of all its tiles whole vectors."""
    numbers = np.random.default_rng(0)
    width, ld = -(-height // LANES) * LANES, vectors * LANES
    u = numbers.standard_normal((3, channels, width)).astype(np.float32)
    pixels = numbers.standard_normal((3, channels, ld)).astype(np.float32)
    products = guarded_nans((3, height, ld), np.float32)
    multiply(
        tile_table(u.dtype), u.reshape(-1), channels * width, width, height, np.arange(height),
        np.empty(channels, np.int64), pixels.reshape(-1), channels * ld,
        ld, vectors, products.reshape(-1), height * ld,
    )  # fmt: skip
    assert np.allclose(products, np.einsum("sci,sct->sit", u.astype(float), pixels)[:, :height], atol=1e-4)
    assert margins_untouched(products)


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_results_do_not_depend_on_the_blocks(name):
    layer = {**SMALL, **LARGE}[name]
    bits = bits_of(product_by_tiles, layer)
    with limits(by_tiles, plan, FEW_TILES=1):
        assert bits_of(product_by_tiles, layer) == bits
