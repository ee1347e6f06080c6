import numpy as np
import pytest
from layer_check import check_layer


@pytest.mark.parametrize(
    ("option", "beta"), [("", 1.0), ("beta: 0.5", 0.5), ("beta: -2", -2.0), ("beta: 0", 0.0)]
)
def test_gated_by_itself(option, beta):
    x = 2 * np.random.default_rng(0).normal(size=(2, 3, 4))
    check_layer(
        f'type: "Swish" swish_param {{ {option} }}',
        [x],
        lambda bottoms, blobs: [bottoms[0] / (1 + np.exp(-beta * bottoms[0]))],
        in_place=True,
    )
