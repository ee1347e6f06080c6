import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

X = np.random.default_rng(0).normal(size=(2, 3, 4, 5))


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ("", np.s_[..., ::-1]),
        ("flip_height: true", np.s_[:, :, ::-1, ::-1]),
        ("flip_width: false flip_height: true", np.s_[:, :, ::-1]),
        ("flip_width: false", np.s_[:]),
    ],
)
def test_flip(options, part):
    check_layer(f'type: "Flip" flip_param {{ {options} }}', [X], lambda bottoms, _: [bottoms[0][part]])


@pytest.mark.parametrize(("axes", "part"), [("", np.s_[::-1]), ("axis: -1", np.s_[..., ::-1])])
def test_reverse(axes, part):
    check_layer(f'type: "Reverse" reverse_param {{ {axes} }}', [X], lambda bottoms, _: [bottoms[0][part]])


def test_flip_is_for_images():
    with pytest.raises(LayerError) as error:
        build_layer('type: "Flip"', [X[0]])
    assert str(error.value) == "layer 'layer' (Flip): needs a bottom of 4 axes, got shape (3, 4, 5)"


def test_reverse_along_an_axis_that_there_is_not():
    with pytest.raises(LayerError, match="axis 4 is out of range"):
        build_layer('type: "Reverse" reverse_param { axis: 4 }', [X])
