import numpy as np
import pytest
from layer_check import build_layer, check_layer


@pytest.mark.parametrize(
    ("options", "function"),
    [
        ("", lambda x: x),
        ("scale: 0.5 shift: -3", lambda x: x / 2 - 3),
        ("power: 2 scale: 3 shift: -0.5", lambda x: 9 * x * x - 3 * x + 0.25),
        ("power: 3 scale: 0.5 shift: 1", lambda x: (x / 2 + 1) * (x / 2 + 1) * (x / 2 + 1)),
        ("power: 0.5", np.sqrt),
        ("power: -1 shift: 0.5", lambda x: 1 / (x + 0.5)),
        ("power: 1.5 scale: 2", lambda x: 2 * x * np.sqrt(2 * x)),
        ("power: 0 scale: 2 shift: 1", np.ones_like),
        ("power: 3 scale: 0 shift: -2", lambda x: np.full_like(x, -8)),
    ],
)
def test_powers(options, function):
    x = np.random.default_rng(0).uniform(0.3, 2, size=(2, 3, 4))
    check_layer(
        f'type: "Power" power_param {{ {options} }}',
        [x],
        lambda bottoms, blobs: [function(bottoms[0])],
        in_place=True,
    )


def gradient(options, x):
    rig = build_layer(f'type: "Power" power_param {{ {options} }}', [x])
    rig.forward()
    return rig.backward([np.ones(len(x))], bottom_fill=5.0)[0][0].tolist()


def test_gradient_is_nan_where_the_base_is_zero_as_in_caffe():
    assert np.isnan(gradient("power: 3", [0.0]))
    assert np.isnan(gradient("power: 3 scale: 2 shift: -2", [1.0]))
    assert gradient("power: 2", [0.0]) == [0]
    assert gradient("power: 1", [0.0]) == [1]


def test_zero_to_the_power_of_zero_is_one():
    rig = build_layer('type: "Power" power_param { power: 0 }', [[0.0, np.nan]])
    assert rig.forward()[0].tolist() == [1, 1]


def test_constants_have_the_gradient_zero():
    assert gradient("power: 0", [0.0, 2.0]) == [0, 0]
    assert gradient("power: 2 scale: 0 shift: 3", [0.0, 2.0]) == [0, 0]


@pytest.mark.parametrize(("power", "shift", "value"), [(-1, 0, np.inf), (0.5, -2, np.nan), (2, 1e30, np.inf)])
def test_constants_beyond_the_numbers(power, shift, value):
    rig = build_layer(f'type: "Power" power_param {{ power: {power} scale: 0 shift: {shift} }}', [[1.0]])
    assert np.array_equal(rig.forward()[0], [value], equal_nan=True)
