"""The weight gradient by pick tiles and by dot tiles."""

from unittest import mock

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution import weight_gradient
from pycaffe_lite.kernels.convolution.weight_gradient import DOT_CHUNK, PICK_CHUNK, _chunk, accumulate, plan
from pycaffe_lite.kernels.simd.sums import FOLDED
from tests.kernels.convolution.cases import (
    LANES,
    arrays,
    case,
    check_weight_gradient,
    geometry_of,
    limits,
    outputs_of,
)

PICKED = {
    "one chunk": case(1, 4, 5, 5, LANES, 3),
    "padded, several chunks": case(9, 4, 7, 9, 3 * LANES, 3, pad=1),
    "outputs beyond whole vectors": case(2, 4, 7, 9, 11 * LANES - 1, 3, pad=1),
    "strides and dilation": case(2, 7, 23, 35, LANES, (3, 2), pad=1, stride=2, dilation=2),
    "groups": case(3, 6, 9, 9, 2 * LANES, 3, pad=1, group=2),
    "dy transposed beforehand": case(3, 70, 7, 7, 20 * LANES, 3, pad=1),
    "lines longer than a chunk": case(1, 4, 3, 600, LANES, 3),
    "lines of one image": case(1, 4, 40, 33, LANES, 3, pad=1),
    "a point": case(3, 40, 5, 9, LANES, 1),
}
DOTS = {
    "one number": case(1, 1, 1, 1, 1, 1),
    "whole vectors": case(2, 5, 9, LANES + 2, 13, 3),
    "half vectors, in pairs": case(2, 5, 8, LANES // 2, 13, 3, pad=1),
    "half vectors, chunks with room for an odd number of lines": case(
        1, 3, 260, 3 * LANES // 2, 13, 3, pad=1
    ),
    "half vectors, an odd number of lines": case(2, 5, 7, LANES // 2, 13, 3, pad=1),
    "gathered": case(9, 5, 9, 9, 13, 3, pad=1),
    "strides and dilation": case(2, 7, 23, 35, 9, (3, 2), pad=1, stride=2, dilation=2),
    "groups": case(3, 6, 9, 9, 13, 3, pad=1, group=2),
    "several blocks of rows": case(2, 3, 5, 9, 139, 3, pad=1),
    "several blocks of columns": case(2, 60, 5, 9, 13, 3, pad=1),
    "lines of one image": case(1, 2, 70, 65, 3, 3, pad=1),
    "a few weights of a channel": case(2, 3, 9, 9, LANES, 3),
}


def by_definition(*args):
    """Without Winograd's algorithms."""
    with mock.patch.object(weight_gradient.winograd_weights, "suits", return_value=False):
        accumulate(*args)


@pytest.mark.parametrize("name", PICKED)
def test_pick_tiles_equal_the_definition(name):
    assert not plan(geometry_of(PICKED[name]), 2, LANES).dots
    check_weight_gradient(by_definition, PICKED[name], weight_gradient)


@pytest.mark.parametrize("name", DOTS)
def test_dot_tiles_equal_the_definition(name):
    assert plan(geometry_of(DOTS[name]), 2, LANES).dots
    check_weight_gradient(by_definition, DOTS[name], weight_gradient)


@pytest.mark.parametrize(
    "layer",
    [case(1, 16, 800, 89, LANES, (1, 2)), case(1, 1, 800, 642, 3, (1, 2))],
    ids=["pick tiles", "dot tiles"],
)
def test_long_sums_are_added_up_in_float64(layer):
    """2^24 + 1 - 2^24, each from FOLDED chunks of a line: in float32 the 1 would be lost."""
    g = geometry_of(layer)
    cut = plan(g, 1, LANES).cut
    assert cut.totals > 0
    assert cut.lines == 1
    x, dw = np.zeros(layer["x"], np.float32), np.empty(layer["w"], np.float32)
    x[:, :, :FOLDED, 0], x[:, :, FOLDED, 0] = 2**24 / FOLDED, 1
    x[:, :, 2 * FOLDED : 3 * FOLDED, 0] = -(2**24) / FOLDED
    by_definition(x, np.ones(outputs_of(layer), np.float32), dw, g, False)
    assert np.all(dw[..., 0] == 1)
    assert not dw[..., 1].any()


def test_short_sums_need_no_totals():
    assert plan(geometry_of(PICKED["one chunk"]), 1, LANES).cut.totals == 0
    assert plan(geometry_of(DOTS["gathered"]), 1, LANES).cut.totals == 0


@pytest.mark.parametrize("name", [*PICKED, *DOTS])
def test_chunks_and_parts_do_not_depend_on_threads(name):
    g = geometry_of({**DOTS, **PICKED}[name])
    few, many = (plan(g, threads, LANES).cut for threads in (1, 16))
    same = ("images", "lines", "parts")
    assert [getattr(few, field) for field in same] == [getattr(many, field) for field in same]
    assert many.tasks >= few.tasks


def test_dy_is_transposed_once_if_several_tasks_read_it():
    g = geometry_of(PICKED["dy transposed beforehand"])
    assert plan(g, 2, LANES).cut.transposed
    assert plan(g, 2, LANES).panels > 0
    with mock.patch.object(weight_gradient, "MOST_TRANSPOSED", 0):
        plan.cache_clear()
        assert plan(g, 2, LANES).panels == 0
        check_weight_gradient(by_definition, PICKED["dy transposed beforehand"], weight_gradient)
    plan.cache_clear()


@pytest.mark.parametrize("columns", [PICK_CHUNK, DOT_CHUNK])
@pytest.mark.parametrize("plane", [(1, 1), (7, 9), (13, 13), (40, 33), (3, 2000)])
def test_a_chunk_is_some_images_or_some_lines_of_one(plane, columns):
    g = geometry_of(case(9, 1, *plane, 1, 3, pad=1))
    images, lines = _chunk(g, columns)
    assert images == 1 or lines == g.P
    assert images * lines * g.Q <= columns or (images, lines) == (1, 1)
    assert 1 <= images <= g.N
    more = (images + 1) * g.P if lines == g.P else lines + 1
    assert more * g.Q > columns or images == g.N, "as large as can be"


def bits_of(layer):
    x, w, dy, _ = arrays(layer, np.float32)
    by_definition(x, dy, w, geometry_of(layer), True)
    return w.tobytes()


@pytest.mark.parametrize("name", [*PICKED, *DOTS])
def test_results_do_not_depend_on_the_blocks(name):
    """Chunks and parts stay as they are."""
    layer = {**DOTS, **PICKED}[name]
    bits = bits_of(layer)
    with limits(weight_gradient, plan, PICK_BLOCK=40 * LANES, DOT_HEIGHT=5, DOT_WIDTH=8, MOST_TRANSPOSED=0):
        assert bits_of(layer) == bits
