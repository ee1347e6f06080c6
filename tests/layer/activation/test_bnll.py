import numpy as np
from layer_check import build_layer, check_layer


def test_softplus():
    x = 3 * np.random.default_rng(0).normal(size=(2, 3, 4))
    check_layer('type: "BNLL"', [x], lambda bottoms, blobs: [np.logaddexp(0, bottoms[0])], in_place=True)


def test_large_values_neither_overflow_nor_lose_their_gradient():
    rig = build_layer('type: "BNLL"', [[-200.0, -60.0, 60.0, 200.0]])
    assert rig.forward()[0].tolist() == [0, 0, 60, 200]
    dx = rig.backward([np.ones(4)])[0][0]
    assert dx[0] == 0
    assert 0 < dx[1] < 1e-25
    assert dx[2:].tolist() == [1, 1]
