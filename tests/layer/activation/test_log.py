import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize(
    ("options", "function"),
    [
        ("", np.log),
        ("base: 2", np.log2),
        ("base: 10 scale: 2 shift: 1.5", lambda x: np.log10(2 * x + 1.5)),
        ("base: 0.5 scale: -1 shift: 9", lambda x: -np.log2(9 - x)),
    ],
)
def test_logarithms(options, function):
    x = np.random.default_rng(0).uniform(0.2, 3, size=(2, 3, 4))
    check_layer(
        f'type: "Log" log_param {{ {options} }}',
        [x],
        lambda bottoms, blobs: [function(bottoms[0])],
        in_place=True,
    )


def test_negative_values_have_none():
    y = build_layer('type: "Log"', [[-1.0, 0.0]]).forward()[0]
    assert np.isnan(y[0])
    assert y[1] == -np.inf


@pytest.mark.parametrize(("base", "shown"), [(0, "0"), (1, "1"), (-2, "-2"), ("inf", "inf"), ("nan", "nan")])
def test_base_without_logarithms(base, shown):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Log" log_param {{ base: {base} }}', [np.ones(3)])
    assert (
        str(error.value)
        == f"layer 'layer' (Log): needs a base above 0 other than 1, or -1 for e, got {shown}"
    )
