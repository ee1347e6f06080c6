import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize(
    ("options", "repeats"),
    [
        ("tiles: 3", (1, 3, 1)),
        ("axis: 0 tiles: 2", (2, 1, 1)),
        ("axis: -1 tiles: 4", (1, 1, 4)),
        ("axis: 2 tiles: 1", (1, 1, 1)),
    ],
)
def test_repeated_along_the_axis(options, repeats):
    check_layer(
        f'type: "Tile" tile_param {{ {options} }}',
        [np.random.default_rng(0).normal(size=(2, 3, 4))],
        lambda bottoms, blobs: [np.tile(bottoms[0], repeats)],
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "needs tile_param { tiles: ... } of 1 or more, got 0"),
        ("tiles: -2", "needs tile_param { tiles: ... } of 1 or more, got -2"),
        ("tiles: 2 axis: 2", "axis 2 is out of range for a blob of shape (2, 3)"),
    ],
)
def test_errors(options, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Tile" tile_param {{ {options} }}', [np.ones((2, 3))])
    assert str(error.value) == f"layer 'layer' (Tile): {message}"


def test_in_place_is_refused():
    with pytest.raises(LayerError) as error:
        build_layer('type: "Tile" tile_param { tiles: 1 }', [np.ones((2, 3))], in_place=True)
    assert str(error.value) == "layer 'layer' (Tile): does not work in place: give its top a name of its own"
