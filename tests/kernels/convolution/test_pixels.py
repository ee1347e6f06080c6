"""Forward convolution with positions for rows."""

import itertools

import pytest

from pycaffe_lite.kernels.convolution import pixels
from pycaffe_lite.kernels.convolution.pixels import (
    CHANNELS,
    FEW_LINES,
    LEAST_DEPTH,
    PixelBlocking,
    pixel_product,
    plan,
    suits,
)
from pycaffe_lite.kernels.convolution.weights import weights_in_order
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

CASES = {
    "one position, one output": case(1, 1, 1, 1, 1, 1),
    "bare": case(2, 12, 7, 9, LANES, 3),
    "padded": case(2, 11, 7, 9, 3 * LANES, 3, pad=1),
    "channels beyond whole vectors": case(1, 5, 6, 7, 2 * LANES + 3, 3, pad=1),
    "strides and dilation": case(2, 7, 13, 15, LANES, (3, 2), pad=1, stride=2, dilation=2),
    "groups": case(3, 6, 9, 9, 3 * LANES, 3, pad=1, group=2),
    "several images in a task, and fewer in the last": case(13, 5, 5, 5, 4 * LANES, 3, pad=1),
    "some lines in a task": case(1, 3, 61, 33, 5 * LANES, 3, pad=1, stride=(2, 1)),
    "several pieces of the depth": case(1, 85, 5, 7, LANES, 3, pad=1, group=2),
    "a point, several pieces": case(2, 300, 5, 7, 2 * LANES, 1),
    "several blocks of outputs": case(1, 4, 9, 5, CHANNELS + 4 * LANES, 3),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_definition(name):
    check_product(pixel_product, CASES[name])


@pytest.mark.parametrize("name", ["padded", "groups", "several pieces of the depth"])
def test_flipped_kernels(name):
    check_flipped(pixel_product, CASES[name])


@pytest.mark.parametrize(
    ("channels", "width", "outputs", "better"),
    [(12, 9, WIDE, True), (12, WIDE + 2, WIDE, False), (10, 9, WIDE, False), (12, 9, WIDE + 1, False),
     (12, 9, 11 * WIDE - 1, True)],
)  # fmt: skip
def test_it_is_for_deep_sums_whose_outputs_fill_vectors_and_lines_do_not(channels, width, outputs, better):
    g = geometry_of(case(1, channels, 9, width, outputs, 3))
    assert (channels * 9 >= LEAST_DEPTH) == (channels > 10)
    assert suits(g, WIDE) == better


@pytest.mark.parametrize("threads", [1, 2, 16])
@pytest.mark.parametrize("name", CASES)
def test_tasks_are_whole_panels_and_cover_all(name, threads):
    g = geometry_of(CASES[name])
    cut = plan(g, weights_in_order(g), threads, LANES)
    blocking = PixelBlocking(*cut.blocks)
    assert blocking.height % (2 * LANES) == 0
    assert blocking.height <= FEW_LINES
    columns = -(-g.N // blocking.images) * -(-g.P // blocking.lines)
    assert cut.tasks == blocking.tasks == g.group * -(-(g.M // g.group) // blocking.height) * columns
    assert blocking.images == 1 or blocking.lines == g.P
    K = g.C // g.group * g.kernel_h * g.kernel_w
    panels = sorted((job[7], job[9] * K) for job in cut.jobs.tolist())  # where it is, and its size
    assert [at for at, _ in panels] == [0, *itertools.accumulate(size for _, size in panels)][:-1]


@pytest.mark.parametrize("name", CASES)
def test_results_do_not_depend_on_the_blocks(name):
    bits = bits_of(pixel_product, CASES[name])
    with limits(pixels, plan, SUMS=40 * LANES, CHANNELS=2 * LANES, FEW_LINES=2 * LANES):
        assert bits_of(pixel_product, CASES[name]) == bits
