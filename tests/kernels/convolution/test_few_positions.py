"""Forward convolution for few positions."""

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution import few_positions
from pycaffe_lite.kernels.convolution.few_positions import (
    MOST_IN_PLACE,
    MOST_POSITIONS,
    FewPositionsBlocking,
    plan,
    product_at_few,
    suits,
)
from pycaffe_lite.kernels.convolution.weights import WeightLayout, weights_in_order
from pycaffe_lite.kernels.runtime.scratch import worker_memory
from pycaffe_lite.kernels.simd.tiles import panel_width
from tests.kernels.convolution.cases import (
    LANES,
    WIDE,
    arrays,
    bits_of,
    case,
    check_product,
    columns,
    geometry_of,
    limits,
    outputs_of,
)
from tests.kernels.guarded import at_the_end_of_memory, guarded_nans, margins_untouched

CASES = {
    "one position": case(1, 3, 2, 2, 5, 2),
    "padded": case(2, 9, 5, 5, 40, 3, pad=1),
    "strides and dilation": case(1, 7, 13, 15, 33, (3, 2), pad=1, stride=2, dilation=2),
    "groups": case(3, 6, 7, 7, 11, 3, pad=1, group=2),
    "a point in place, positions left over": case(1, 45, 7, 7, 30, 1, group=2),
    "a point in place, whole vectors": case(1, 45, LANES, LANES, 30, 1),
    "too deep to be read in place": case(1, MOST_IN_PLACE + 9, 7, 7, 21, 1),
    "positions left over": case(1, 37, 7, 7, 33, 3, pad=1),
    "longer rows than one sum": case(1, 600, 3, 5, 10, 1),
    "images of one pixel": case(LANES + 3, 70, 1, 1, 45, 1),
    "images of one pixel, groups": case(5, 20, 1, 1, 9, 1, group=3),
    "kernels that cover images": case(2 * LANES + 1, 9, 4, 5, 21, (4, 5)),
    "more staged channels than at a time": case(1, 40, 6, 6, 9, 3, pad=1),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_definition(name):
    check_product(product_at_few, CASES[name])


def test_more_images_than_are_few_are_done_in_turn():
    layer = case(8, 4, 16, 16, 5, 3, pad=1)  # three at a time, and two that are left
    assert few_positions.most_positions(geometry_of(layer)) // 256 == 3
    check_product(product_at_few, layer)


def test_it_is_for_few_positions_and_weights_in_order():
    def suited(layer):
        g = geometry_of(layer)
        return suits(g, weights_in_order(g))

    assert suited(case(1, 9, 20, 20, 9, 1))
    assert suited(case(7, 9, 20, 20, 9, 1)), "of a point, only the positions of an image count"
    assert not suited(case(1, 9, 21, 20, 9, 1))
    assert suited(case(1, 9, 22, 22, 9, 3))
    assert not suited(case(2, 9, 22, 22, 9, 3))
    assert suited(case(2, 9, 20, 20, 9, 3, pad=1)), "twice as many if the image has to be staged"
    assert not suited(case(2, 9, 21, 20, 9, 3, pad=1))
    assert MOST_POSITIONS == 400
    g = geometry_of(case(1, 9, 5, 5, 9, 3))
    assert not suits(g, WeightLayout(0, 9, 81, 1))
    assert not suited(case(1, 20000, 20, 20, 1, 3)), "panels of more numbers than there are weights"


@pytest.mark.parametrize("threads", [1, 2, 16])
@pytest.mark.parametrize("name", CASES)
def test_pieces_cover_all_positions_and_tasks_all_channels(name, threads):
    g = geometry_of(CASES[name])
    cut = plan(g, weights_in_order(g), threads, LANES)
    blocking = FewPositionsBlocking(*cut.blocks)
    assert cut.pieces[:, 3].sum() == g.N * g.P * g.Q
    assert blocking.length % LANES == 0
    assert blocking.length + blocking.rest >= g.N * g.P * g.Q
    assert blocking.rest <= LANES // 2
    assert blocking.tasks == g.group * -(-(g.M // g.group) // blocking.height)
    assert blocking.parts * blocking.channels >= g.C // g.group
    assert (cut.columns == 0) == bool(blocking.direct)


def test_panels_are_not_made_if_the_rows_of_the_image_are_as_good():
    def in_place(layer):
        g = geometry_of(layer)
        return bool(FewPositionsBlocking(*plan(g, weights_in_order(g), 1, LANES).blocks).direct)

    assert in_place(case(1, MOST_IN_PLACE, 8, 8, 9, 1))
    assert not in_place(case(1, MOST_IN_PLACE + 1, 8, 8, 9, 1))
    assert not in_place(case(2, 20, 8, 8, 9, 1))
    assert not in_place(case(1, 9, 8, 8, 9, 3))


def test_one_panel_passes_along_whole_rows_of_weights():
    g = geometry_of(case(1, 300, 3, 5, 10, 1))
    one = FewPositionsBlocking(*plan(g, weights_in_order(g), 1, WIDE).blocks)
    assert (one.depth, one.ahead > 0) == (300, True)
    g = geometry_of(case(1, 300, 19, 20, 10, 1))
    more = FewPositionsBlocking(*plan(g, weights_in_order(g), 1, WIDE).blocks)
    assert (more.depth, more.ahead) == (few_positions.DEPTH, 0)


@pytest.mark.parametrize("name", [name for name in CASES if "in place" not in name or name.startswith("too")])
def test_panels_hold_columns_side_by_side(name):
    """Panel after panel, and in it step after step of the depth; then what is left over, one by one."""
    layer, g = CASES[name], geometry_of(CASES[name])
    x, *_ = arrays(layer, np.float32)
    cut = plan(g, weights_in_order(g), 2, LANES)
    blocking, positions = FewPositionsBlocking(*cut.blocks), g.N * g.P * g.Q
    panels = guarded_nans(cut.columns, np.float32)
    few_positions._make_panels(
        worker_memory(x.dtype, 2, cut.workspace),
        at_the_end_of_memory(x).reshape(-1), panels, cut.sizes, cut.blocks,
        cut.taps, cut.pieces,
    )  # fmt: skip
    assert margins_untouched(panels)
    col, *_ = columns(x, layer["window"], outputs_of(layer))  # n, c, i, j, p, q
    col = np.moveaxis(col, 0, 3).reshape(g.group, -1, positions)
    K, together = col.shape[1], blocking.length + blocking.rest
    for group in range(g.group):
        j = 0
        while j < positions:
            width = panel_width.py_func(blocking.length - j, LANES) if j < blocking.length else 1
            at, count = (group * together + j) * K, min(width, positions - j)
            panel = panels[at : at + K * width].reshape(K, width)
            assert np.array_equal(panel[:, :count], col[group, :, j : j + count])
            j += width


@pytest.mark.parametrize("name", CASES)
def test_results_do_not_depend_on_the_blocks(name):
    bits = bits_of(product_at_few, CASES[name])
    with limits(few_positions, plan, SUMS=64):
        assert bits_of(product_at_few, CASES[name]) == bits


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("a point in place")])
def test_panels_give_the_bits_of_the_image_that_they_are_made_of(name):
    bits = bits_of(product_at_few, CASES[name])
    with limits(few_positions, plan, MOST_IN_PLACE=0):
        assert bits_of(product_at_few, CASES[name]) == bits
