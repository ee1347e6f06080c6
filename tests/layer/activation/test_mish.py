import numpy as np
from layer_check import build_layer, check_layer


def test_gated_by_its_softplus():
    x = 2 * np.random.default_rng(0).normal(size=(2, 3, 4))
    check_layer(
        'type: "Mish"',
        [x],
        lambda bottoms, blobs: [bottoms[0] * np.tanh(np.log1p(np.exp(bottoms[0])))],
        in_place=True,
    )


def test_far_from_zero():
    rig = build_layer('type: "Mish"', [[-1000.0, 1000.0]])
    assert rig.forward()[0].tolist() == [0, 1000]
    assert rig.backward([np.ones(2)])[0][0].tolist() == [0, 1]
