"""How columns are cut into panels, and panels shared out."""

import itertools

import pytest

from pycaffe_lite.kernels.convolution.winograd.forward import cut_evenly
from pycaffe_lite.kernels.simd.tiles import WIDE_PICK, panel_start

LANES = 8


def panels(vectors):
    """Where the panels of so many vectors of columns start, and where the last one ends, in vectors."""
    starts, number = [0], 0
    while starts[-1] < vectors:
        number += 1
        starts.append(panel_start(number, vectors * LANES, LANES) // LANES)
    return starts


@pytest.mark.parametrize("vectors", range(1, 30))
def test_panels_are_wide_and_no_vector_is_left_alone(vectors):
    starts = panels(vectors)
    widths = [end - start for start, end in itertools.pairwise(starts)]
    assert sum(widths) == vectors
    assert max(widths) <= WIDE_PICK
    assert widths == sorted(widths, reverse=True)
    assert min(widths) > 1 or vectors == 1
    assert len(widths) == -(-vectors // WIDE_PICK)


@pytest.mark.parametrize("vectors", range(1, 30))
def test_what_is_taken_in_order_is_cut_alike(vectors):
    """The panels of the first columns, up to where a panel ends, are those of these columns alone."""
    starts = panels(vectors)
    for count, end in enumerate(starts[1:], 1):
        assert panels(end) == starts[: count + 1]


@pytest.mark.parametrize("vectors", range(1, 30))
@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_blocks_are_whole_panels(vectors, parts):
    height, blocks = cut_evenly(vectors * LANES, parts, LANES)
    assert 1 <= blocks <= parts
    starts = [block * height // LANES for block in range(blocks)]
    assert set(starts) <= set(panels(vectors)[:-1])
    assert vectors * LANES - starts[-1] * LANES <= height + LANES
