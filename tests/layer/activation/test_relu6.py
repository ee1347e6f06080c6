import numpy as np
import pytest
from layer_check import build_layer, check_layer


@pytest.mark.parametrize("slope", [0, 0.125])
def test_values_stop_at_six(slope):
    x = 5 * np.random.default_rng(0).normal(size=(2, 3, 4))
    check_layer(
        f'type: "ReLU6" relu6_param {{ negative_slope: {slope} }}',
        [x],
        lambda bottoms, blobs: [np.minimum(np.where(bottoms[0] > 0, bottoms[0], slope * bottoms[0]), 6)],
        in_place=True,
    )


def test_gradient_at_the_corners():
    rig = build_layer('type: "ReLU6" relu6_param { negative_slope: 0.5 }', [[-1.0, 0.0, 3.0, 6.0, 7.0]])
    assert rig.forward()[0].tolist() == [-0.5, 0, 3, 6, 6]
    assert rig.backward([np.full(5, 2.0)])[0][0].tolist() == [1, 1, 2, 0, 0]
