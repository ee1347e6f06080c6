"""Forward convolution by Winograd's algorithms: for which layers, how it is cut, and what it gives."""

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution.geometry import geometry_of as geometry_of_array
from pycaffe_lite.kernels.convolution.phases import without_stride
from pycaffe_lite.kernels.convolution.weights import weights_in_order
from pycaffe_lite.kernels.convolution.winograd import forward
from pycaffe_lite.kernels.convolution.winograd.forward import (
    DEPTH,
    LEAST_CHANNELS,
    LEAST_OUTPUTS,
    LEAST_TILES,
    Tiles,
    applies,
    cut_evenly,
    cut_tiles,
    gain,
    list_runs,
    multiply_places,
    ones,
    packed_size,
    staged,
    store_tiles,
    suits,
    tiles_of,
    transform_all_weights,
    transform_channels,
    weight_jobs,
    winograd_product,
)
from pycaffe_lite.kernels.convolution.winograd.transforms import (
    ALGORITHMS,
    RESULTS,
    WEIGHTS,
    transform_number,
    transform_table,
)
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.runtime.scratch import worker_memory
from pycaffe_lite.kernels.simd.tiles import panel_start, panel_width, tile_table
from tests.kernels.convolution.cases import (
    LANES,
    WIDE,
    arrays,
    bits_of,
    case,
    check_flipped,
    check_product,
    geometry_of,
    limits,
)
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched

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


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_results_do_not_depend_on_the_blocks(name):
    layer = {**SMALL, **LARGE}[name]
    bits = bits_of(winograd_product, layer)
    with limits(
        forward, forward.plan, LEAST_PER_TASK=3, FEW_TILES=1, MOST_PIXELS=1, MOST_PRODUCTS=100, STORED=8
    ):
        assert bits_of(winograd_product, layer) == bits


def test_ones_are_kept():
    assert ones(5, np.dtype(np.float32)) is ones(5, np.dtype(np.float32))
    assert ones(5, np.dtype(np.float32)).tolist() == [1] * 5


# ------------------------------------------------------------------------------------- the steps, one by one

NUMBERS = np.dtype(np.float32)
TABLE, MICRO = transform_table(NUMBERS), tile_table(NUMBERS)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def both_sides(matrix, squares):
    """Matrix times square times the transpose of matrix; the square's axes are the first two."""
    return np.einsum(
        "ai,ij...,bj->ab...", np.array(matrix, float), squares.astype(float), np.array(matrix, float)
    )


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("outputs", [3, 4 * LANES + 1])
def test_transformed_weights_lie_in_panels_for_each_place(size, outputs):
    """Of 19 channels, more than are transformed together."""
    g = geometry_of(case(1, 19, 9, 9, outputs, size, group=2))
    w, filled, places = numbers(2, outputs, 19, size, size), -(-outputs // LANES) * LANES, (size + 1) ** 2
    jobs, per_place = weight_jobs(g, weights_in_order(g), filled, LANES), 2 * filled * 19
    u = np.full(places * per_place, np.nan, np.float32)
    memory = worker_memory(NUMBERS, 2, packed_size(size * size, LANES))
    transform_all_weights(memory, TABLE, transform_number(size, WEIGHTS), size, w.reshape(-1), jobs, u)
    wanted = both_sides(ALGORITHMS[size].weights, w.transpose(3, 4, 0, 1, 2)).reshape(places, 2, outputs, 19)
    for group in range(2):
        m = 0
        while m < filled:
            width = panel_width.py_func(filled - m, LANES)
            at = (group * filled + m) * 19
            panel = u.reshape(places, per_place)[:, at : at + width * 19].reshape(places, 19, width)
            many = min(width, outputs - m)
            assert np.allclose(panel[:, :, :many], wanted[:, group, m : m + many].swapaxes(1, 2), atol=1e-5)
            m += width


@serial_kernel
def list_some_runs(images, lines, sizes, image, line, lanes, starts):
    return list_runs(images, lines, tiles_of(sizes), image, line, lanes, starts)


def test_runs_are_listed_line_by_line_and_the_last_vector_is_filled():
    tiles = Tiles(2, 3, 12, LANES // 4, 0, 0, 0, 0, 0)._replace(width=3 * LANES // 4)
    starts = np.full(40, -1)
    vectors = list_some_runs(2, 3, np.array(tiles), 1000, 100, LANES, starts)
    runs = [
        n * 1000 + p * 200 + 2 * q
        for n in range(2)
        for p in range(3)
        for q in range(0, tiles.width, tiles.run)
    ]
    assert vectors == -(-len(runs) // 4)
    assert starts[: 4 * vectors].tolist() == runs + runs[-1:] * (4 * vectors - len(runs))
    assert np.all(starts[4 * vectors :] == -1)


@serial_kernel
def transform_some(
    table, x, sizes, of_tiles, n0, images, first, channels, p0, stride, starts, lines, pixels, places
):
    g, tiles = geometry_of_array(sizes), tiles_of(of_tiles)
    line = stride * g.line
    vectors = list_runs(images, (g.P + 1) // 2 - p0, tiles, tiles.rows * line, line, 16, starts)
    transform_channels(
        table,
        x,
        g,
        tiles,
        n0,
        images,
        first,
        channels,
        p0,
        starts,
        vectors,
        lines,
        pixels,
        tiles.length,
        16,
        places,
    )


@pytest.mark.skipif(LANES != 16, reason="one width of vectors shows it")
@pytest.mark.parametrize("p0", [0, 1])
@pytest.mark.parametrize(
    "layer", [case(2, 3, 7, 9, 1, 3, pad=1), case(1, 2, 8, 11, 1, 5, pad=(2, 0))], ids=["3x3", "5x5"]
)
def test_tiles_of_pixels_overlap_and_end_in_zeros(layer, p0):
    g, size, (x, *_) = geometry_of(layer), layer["w"][2], arrays(layer, np.float32)
    P, Q = (g.P + 1) // 2, (g.Q + 1) // 2
    tiles = cut_tiles(g._replace(P=g.P - 2 * p0), 1000, LANES)
    image, channels, per_place = staged(g, tiles), g.C - 1, (g.C - 1) * tiles.length
    pixels = np.full((size + 1) ** 2 * per_place, np.nan, np.float32)
    starts, lines = np.empty(tiles.length // tiles.run, np.int64), np.full(tiles.room, np.nan, np.float32)
    transform_some(
        TABLE, x.reshape(-1), np.array(image), np.array(tiles), 0, g.N,
        1, channels, p0, 1, starts, lines, pixels,
        per_place,
    )  # fmt: skip
    padded = np.zeros((g.N, channels, 2 * P + size, 2 * Q + size))
    padded[:, :, g.pad_h : g.pad_h + g.H, g.pad_w : g.pad_w + g.W] = x[:, 1:]
    got = pixels.reshape(size + 1, size + 1, channels, tiles.length)
    for n, p, q in np.ndindex(g.N, P - p0, Q):
        tile = padded[n, :, 2 * (p + p0) :, 2 * q :][:, : size + 1, : size + 1].transpose(1, 2, 0)
        wanted = both_sides(ALGORITHMS[size].pixels, tile)
        assert np.allclose(got[..., (n * (P - p0) + p) * tiles.width + q], wanted, atol=1e-4)


@serial_kernel
def multiply_some(
    micro, pixels, of_pixels, tiles, channels, u, of_weights, height, products, ld, of_products
):
    multiply_places(
        micro, 3, pixels, of_pixels, tiles, tiles.size,
        channels, channels.size, u, 0, of_weights, height, products,
        ld, of_products,
    )  # fmt: skip


@pytest.mark.parametrize(("channels", "count", "vectors"), [(1, 1, 1), (DEPTH + 3, 21, 3), (7, 9, 4)])
def test_products_of_each_place(channels, count, vectors):
    height = vectors * LANES
    pixels, u = numbers(3, channels, count), numbers(3, channels, height, seed=1)
    panels, m = [], 0
    while m < height:
        width = panel_width.py_func(height - m, LANES)
        panels.append(u[:, :, m : m + width].reshape(3, -1))
        m += width
    products = guarded_nans((3, count, height), np.float32)
    multiply_some(
        MICRO, pixels.reshape(-1), channels * count, np.arange(count), np.arange(channels) * count,
        np.concatenate(panels, 1).ravel(), channels * height,
        height, products.reshape(-1), height, count * height,
    )  # fmt: skip
    assert np.allclose(products, np.einsum("sct,scm->stm", pixels.astype(float), u), atol=1e-4)
    assert margins_untouched(products)


@serial_kernel
def store_some(
    table, number, products, places, ld, sizes, p0, lines, most, m, height, scale, start, slope, room, y
):
    g = geometry_of_array(sizes)
    store_tiles(
        table,
        number,
        products,
        places,
        ld,
        g,
        0,
        g.N,
        p0,
        lines,
        most,
        m,
        height,
        scale,
        start,
        slope,
        room,
        y,
    )


@pytest.mark.parametrize(("height", "width"), [(7, 9), (8, 12), (3, 2)])
@pytest.mark.parametrize("most", [1, 2])
def test_results_of_tiles_are_cut_to_the_image(height, width, most):
    """Of the second output channel on, and from the second line of tiles on."""
    g, outputs, p0 = geometry_of(case(2, 1, height, width, 6, 3, pad=1)), 5, 1
    P, Q, ld = (height + 1) // 2, (width + 1) // 2, 2 * LANES
    lines = P - p0
    products = numbers(4, 4, 2, lines, Q, ld)
    scale, start = numbers(6, seed=1), numbers(6, seed=2)
    y = guarded(np.zeros((2, 6, height, width), np.float32))
    room = np.empty(4 * most * Q * ld + LANES * ld, np.float32)
    store_some(
        TABLE, transform_number(3, RESULTS), products.reshape(-1), 2 * lines * Q * ld,
        ld, np.array(g), p0, lines, most,
        1, outputs, scale, start, np.float32(0.5), room, y.reshape(-1),
    )  # fmt: skip
    tiles = both_sides(ALGORITHMS[3].results, products)[..., :outputs]  # i, j, n, line, tile, m
    full = tiles.transpose(2, 5, 3, 0, 4, 1).reshape(2, outputs, 2 * lines, 2 * Q)
    wanted = scale[1:, None, None] * full[:, :, : height - 2 * p0, :width] + start[1:, None, None]
    assert np.allclose(y[:, 1:, 2 * p0 :], np.where(wanted > 0, wanted, wanted / 2), atol=1e-4)
    assert not y[:, 0].any()
    assert not y[:, :, : 2 * p0].any()
    assert margins_untouched(y)
