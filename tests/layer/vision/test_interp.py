import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

X = np.random.default_rng(0).normal(size=(2, 3, 5, 4))


def place(i, size, to):
    """Where value i of `to` lies among `size`: the index before it, the next one, and how far it is.

    The place is rounded to float32, as in the fork.
    """
    ratio = np.float32(size - 1) / np.float32(to - 1) if to > 1 else np.float32(0)
    at = ratio * np.float32(i)
    before = int(at)
    return before, min(before + 1, size - 1), float(at) - before


def interpolated(x, height, width):
    """By the definition: corners on corners, between the four nearest values."""
    y = np.empty((*x.shape[:2], height, width))
    for p, q in np.ndindex(height, width):
        i, k, a = place(p, x.shape[2], height)
        j, m, b = place(q, x.shape[3], width)
        above = (1 - b) * x[..., i, j] + b * x[..., i, m]
        below = (1 - b) * x[..., k, j] + b * x[..., k, m]
        y[..., p, q] = (1 - a) * above + a * below
    return y


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ("height: 7 width: 9", (7, 9)),
        ("height: 5 width: 4", (5, 4)),
        ("height: 1 width: 1", (1, 1)),
        ("shrink_factor: 2", (3, 2)),
        ("zoom_factor: 3", (13, 10)),
        ("shrink_factor: 2 zoom_factor: 2", (5, 3)),
        ("zoom_factor: 2 height: 3 width: 3", (9, 7)),
        ("shrink_factor: 2 zoom_factor: 2 height: 3 width: 6", (3, 6)),
    ],
)
def test_between_the_nearest_values(options, size):
    check_layer(
        f'type: "Interp" interp_param {{ {options} }}',
        [X],
        lambda bottoms, _: [interpolated(bottoms[0], *size)],
    )


def test_rows_and_columns_are_cut_off():
    check_layer(
        'type: "Interp" interp_param { height: 6 width: 5 pad_beg: -1 pad_end: -2 }',
        [np.random.default_rng(1).normal(size=(1, 2, 6, 5))],
        lambda bottoms, _: [interpolated(bottoms[0][:, :, 1:-2, 1:-2], 6, 5)],
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "needs shrink_factor, zoom_factor, or height and width in interp_param"),
        ("height: 3", "needs shrink_factor, zoom_factor, or height and width in interp_param"),
        ("height: 3 width: 3 pad_beg: 1", "only cuts off: needs pads of 0 or less, got 1 and 0"),
        ("zoom_factor: 0", "needs zoom_factor of 1 or more, got 0"),
        ("height: 0 width: 3", "output would be empty: 0x3 from 5x4 of shape (2, 3, 5, 4)"),
        (
            "zoom_factor: 2 pad_beg: -3 pad_end: -2",
            "output would be empty: -1x-3 from 0x-1 of shape (2, 3, 5, 4)",
        ),
    ],
)
def test_errors(options, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Interp" interp_param {{ {options} }}', [X])
    assert str(error.value) == f"layer 'layer' (Interp): {message}"
