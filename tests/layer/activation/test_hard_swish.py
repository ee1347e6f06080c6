import numpy as np
from layer_check import check_layer


def test_gated_by_straight_lines():
    x = 3 * np.random.default_rng(0).normal(size=(2, 3, 4))
    check_layer(
        'type: "HardSwish"',
        [x],
        lambda bottoms, blobs: [bottoms[0] * np.clip(bottoms[0] + 3, 0, 6) / 6],
        in_place=True,
    )
