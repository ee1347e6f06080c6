import numpy as np
import pytest
from layer_check import check_layer


@pytest.mark.parametrize(
    ("options", "alpha", "beta"),
    [("", np.float32(0.2), 0.5), ("hard_sigmoid_param { alpha: -1 beta: 0.25 }", -1, 0.25)],
)
def test_straight_between_zero_and_one(options, alpha, beta):
    x = 3 * np.random.default_rng(0).normal(size=(2, 3, 4))
    check_layer(
        f'type: "HardSigmoid" {options}',
        [x],
        lambda bottoms, blobs: [np.clip(alpha * bottoms[0] + beta, 0, 1)],
        in_place=True,
    )
