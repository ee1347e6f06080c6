import numpy as np
import pytest
from layer_check import build_layer, check_layer


@pytest.mark.parametrize("alpha", [None, 2.0, 0.25])
def test_exponential_below_zero(alpha):
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    option = "" if alpha is None else f"elu_param {{ alpha: {alpha} }}"

    def reference(bottoms, blobs):
        x = bottoms[0]
        return [np.where(x > 0, x, (alpha or 1.0) * np.expm1(np.minimum(x, 0)))]

    check_layer(f'type: "ELU" {option}', [x], reference, in_place=True)


def test_gradient_at_zero_is_that_of_the_negative_side():
    rig = build_layer('type: "ELU" elu_param { alpha: 3 }', [[0.0]])
    assert rig.forward()[0] == [0]
    assert rig.backward([[1.0]])[0][0] == [3]


def test_nvidias_factor():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))

    def reference(bottoms, blobs):
        x = bottoms[0]
        return [1.5 * np.where(x > 0, x, 0.5 * np.expm1(np.minimum(x, 0)))]

    check_layer('type: "ELU" elu_param { alpha: 0.5 lambda: 1.5 }', [x], reference, in_place=True)
