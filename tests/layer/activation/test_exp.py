import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize(
    ("options", "function"),
    [
        ("", np.exp),
        ("base: 2", np.exp2),
        ("base: 0.5 scale: 2", lambda x: 4.0**-x),
        ("scale: 0.5 shift: -0.75", lambda x: np.sqrt(np.exp(x)) / np.exp(0.75)),
        ("base: 10 scale: -0.5 shift: 2", lambda x: 100 / np.sqrt(10**x)),
    ],
)
def test_exponentials(options, function):
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    check_layer(
        f'type: "Exp" exp_param {{ {options} }}',
        [x],
        lambda bottoms, blobs: [function(bottoms[0])],
        in_place=True,
    )


def test_overflow_is_infinity():
    assert build_layer('type: "Exp" exp_param { shift: 1000 }', [[1.0]]).forward()[0] == [np.inf]


@pytest.mark.parametrize(("base", "shown"), [(0, "0"), (-2.5, "-2.5"), ("inf", "inf"), ("nan", "nan")])
def test_base_without_a_logarithm(base, shown):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Exp" exp_param {{ base: {base} }}', [np.ones(3)])
    assert str(error.value) == f"layer 'layer' (Exp): needs a base above 0, or -1 for e, got {shown}"
