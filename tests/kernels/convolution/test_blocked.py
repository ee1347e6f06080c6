"""Forward convolution block by block, and which algorithm is taken for which layer."""

import itertools

import numpy as np
import pytest

from pycaffe_lite.kernels import convolution
from pycaffe_lite.kernels.convolution import blocked, depthwise, few_positions, pixels
from pycaffe_lite.kernels.convolution.blocked import ProductBlocking, best_algorithm, plan, product
from pycaffe_lite.kernels.convolution.weights import weights_in_order
from pycaffe_lite.kernels.convolution.winograd import by_tiles, forward
from pycaffe_lite.kernels.products.long import LONG
from tests.kernels.convolution.cases import (
    LANES,
    WIDE,
    arrays,
    assert_close,
    bits_of,
    case,
    check_flipped,
    check_product,
    definition,
    geometry_of,
    limits,
    outputs_of,
)
from tests.kernels.guarded import guarded

by_blocks = blocked._product_by_blocks

CASES = {
    "one position, one output": case(1, 1, 1, 1, 1, 1),
    "lines of whole vectors, bare": case(2, 5, 9, 2 * LANES + 2, 13, 3),
    "lines of whole vectors, staged": case(2, 5, 9, 2 * LANES, 13, 3, pad=1),
    "lines of half vectors": case(2, 5, 9, LANES // 2, 13, 3, pad=1),
    "gathered lines, bare": case(2, 5, 9, LANES + 5, 13, 3),
    "gathered lines, staged": case(2, 5, 9, LANES + 3, 13, 3, pad=1),
    "strides and dilation": case(1, 7, 23, 35, 33, (3, 2), pad=1, stride=2, dilation=2),
    "groups": case(3, 6, 9, 9, 25, 3, pad=1, group=2),
    "several pieces of the depth, gathered": case(1, 90, 5, 7, 13, 3, pad=1),
    "several pieces of the depth, direct": case(1, 150, 4, LANES, 13, 3, pad=1),
    "a crowded point": case(1, 150, 8, 4 * LANES, 13, 1),
    "several images in a task, and fewer in the last": case(23, 3, 5, 7, 9, 3, pad=1),
    "some lines in a task": case(1, 3, 61, 33, 9, 3, pad=1, stride=(2, 1)),
    "several blocks of rows": case(1, 3, 7, 9, 500, 3),
    "several blocks of rows and pieces of the depth": case(1, 90, 5, 7, 500, 3, pad=1),
    "weights that every task packs again": case(9, 3, 30, 30, 12, 3, pad=1),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_definition(name):
    check_product(by_blocks, CASES[name])


@pytest.mark.parametrize(
    "name", ["lines of whole vectors, staged", "groups", "several pieces of the depth, gathered"]
)
def test_flipped_kernels(name):
    check_flipped(by_blocks, CASES[name])


@pytest.mark.parametrize(
    "name", ["lines of whole vectors, bare", "groups", "several pieces of the depth, direct"]
)
def test_accumulating_adds_to_what_there_is(name):
    x, w, before, start = arrays(CASES[name], np.float32)
    (y, bound), *_ = definition(x, w, before, CASES[name]["window"])
    g, out = geometry_of(CASES[name]), guarded(before)
    product(x, w, start, start[:0], 1.0, out, g, weights_in_order(g), accumulate=True)
    assert_close(out, y + before, bound + abs(before))


def test_results_too_many_for_the_caches_bypass_them():
    layer = case(1, 5, 32, 64 * LANES, 1 + blocked.LARGE // (32 * 64 * LANES), 1)
    g = geometry_of(layer)
    assert ProductBlocking(*plan(g, weights_in_order(g), 1, LANES).blocks).bypass
    check_product(by_blocks, layer)
    x, w, before, start = arrays(layer, np.float32)
    out, y = before.copy(), np.empty_like(before)
    product(x, w, start * 0, start[:0], 1.0, y, g, weights_in_order(g))
    product(x, w, start, start[:0], 1.0, out, g, weights_in_order(g), accumulate=True)
    assert np.allclose(out, y + before, atol=1e-5)


@pytest.mark.parametrize("accumulate", [False, True])
def test_sums_of_many_channels_are_added_up_in_float64(accumulate):
    """2^24 + 1 - 2^24: in float32 the 1 would be lost."""
    layer = case(1, 3 * LONG, 2, 1, 3, 1)
    x, w = np.zeros(layer["x"], np.float32), np.ones(layer["w"], np.float32)
    x[:, :LONG], x[:, LONG], x[:, 2 * LONG :], w[:, 2 * LONG :] = 2**24 / LONG, 1, 2**24 / LONG, -1
    y, start, g = np.full(outputs_of(layer), 5, np.float32), np.ones(3, np.float32), geometry_of(layer)
    product(x, w, start, start[:0] if accumulate else start * 2, 0.5, y, g, weights_in_order(g), accumulate)
    assert np.all(y == (6 if accumulate else 3))


@pytest.mark.parametrize(
    ("layer", "algorithm"),
    [
        (case(1, 1, 30, 30, 1, 3, group=20), depthwise.depthwise_product),
        (case(1, 20, 6, 6, 33, 6), blocked._dot_of_images),
        (case(WIDE, 20, 6, 6, 33, 6), few_positions.product_at_few),
        (case(3 * WIDE, 20, 6, 6, 33, 6), blocked._dot_of_images),
        (case(3 * WIDE, 20, 6, 6, blocked.MANY_OUTPUTS, 6), few_positions.product_at_few),
        (case(8, 48, 14, 14, 64, 3, pad=1), forward.winograd_product),
        (case(32, 20, 12, 12, 50, 5), by_tiles.product_by_tiles),
        (case(8, 3, 51, 47, 96, 11, stride=4), forward.winograd_product),
        (case(1, 200, 14, 14, 40, 1), few_positions.product_at_few),
        (case(64, 40, 13, 13, 2 * WIDE, 3, stride=2), pixels.pixel_product),
        (case(64, 40, 13, 13, 13, 3, stride=2), by_blocks),
        (case(2, 3, 64, 64, 16, 3, pad=1), by_blocks),
    ],
)
def test_the_algorithm_for_a_layer(layer, algorithm):
    g = geometry_of(layer)
    assert best_algorithm(g, weights_in_order(g), WIDE) is algorithm


def test_flipped_kernels_with_a_stride_do_not_go_by_winograds_algorithms():
    g = geometry_of(case(8, 3, 51, 47, 96, 11, stride=4))
    assert best_algorithm(g, convolution._flipped_weights(g), WIDE) is not forward.winograd_product


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("name", CASES)
def test_tasks_and_pieces_cover_all(name, threads):
    g = geometry_of(CASES[name])
    cut = plan(g, weights_in_order(g), threads, LANES)
    b = ProductBlocking(*cut.blocks)
    rows, K = g.M // g.group, g.C // g.group * g.kernel_h * g.kernel_w
    assert cut.tasks == b.tasks == g.group * -(-rows // b.height) * -(-g.N // b.images) * -(-g.P // b.lines)
    assert b.images == 1 or b.lines == g.P
    assert b.direct == (g.Q % (LANES // 2) == 0)
    assert b.own == (cut.packed == 0)
    packed = sorted((job[7], job[2] * job[3] * job[5]) for job in cut.jobs.tolist())
    starts = [0, *itertools.accumulate(size for _, size in packed)]
    assert [at for at, _ in packed] == starts[:-1]
    assert starts[-1] == g.M * K


def test_few_tasks_are_shared_out_evenly():
    """Seven lines for two threads: four and three of them, not seven for one."""
    g = geometry_of(case(1, 64, 7, 7 * LANES, 64, 3, pad=1))
    height, images, lines = blocked._evenly(g, 64, 1, 7, 2, 2 * LANES)
    tasks = -(-64 // height) * -(-7 // lines)
    assert images == 1
    assert tasks % 2 == 0 or tasks > 8


def test_images_that_a_kernel_covers_are_an_inner_product():
    check_product(blocked._dot_of_images, case(3, 20, 6, 5, 33, (6, 5)))


@pytest.mark.parametrize("name", CASES)
def test_results_do_not_depend_on_the_blocks(name):
    bits = bits_of(by_blocks, CASES[name])
    with limits(blocked._block, plan, ROWS=12, COLUMNS=4 * LANES):
        assert bits_of(by_blocks, CASES[name]) == bits


@pytest.mark.parametrize("name", ["weights that every task packs again", "groups"])
def test_weights_packed_once_give_the_same_bits(name):
    g, bits = geometry_of(CASES[name]), bits_of(by_blocks, CASES[name])
    assert ProductBlocking(*plan(g, weights_in_order(g), 2, LANES).blocks).own
    with limits(blocked, plan, PACKED_AGAIN=-1):
        assert not ProductBlocking(*plan(g, weights_in_order(g), 2, LANES).blocks).own
        assert bits_of(by_blocks, CASES[name]) == bits
