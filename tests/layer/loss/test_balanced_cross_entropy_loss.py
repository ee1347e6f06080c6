import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
SCORES = R.normal(size=(3, 1, 2, 4)) * 3
EDGES = np.array([[1, 0, 0, 0, 0, 0, 1, 0], [1] * 8, [0, 1, 255, 0, 0.5, 1, 0, 0]], float).reshape(3, 1, 2, 4)
TEXT = 'type: "SigmoidCrossEntropyBalanceLoss"'


def loss(x, t):
    total = 0.0
    for scores, targets in zip(x.reshape(len(x), -1), t.reshape(len(x), -1), strict=True):
        ones, zeros = (targets == 1).sum(), (targets == 0).sum()
        for score, target in zip(scores, targets, strict=True):
            if target == 1:
                total += np.log(1 + np.exp(-score)) * zeros / (ones + zeros)
            elif target == 0:
                total += np.log(1 + np.exp(score)) * ones / (ones + zeros)
    return total / len(x)


def test_few_edges_weigh_as_much_as_the_rest():
    check_layer(TEXT, [SCORES, EDGES], lambda bottoms, _: [loss(*bottoms)], gradients=[0])


def test_scores_far_from_0():
    rig = build_layer(TEXT, [np.array([[900.0, -900]]), np.array([[0.0, 1]])])
    assert rig.forward()[0] == 900
    diffs, _ = rig.backward([np.array(1.0)], wanted=[0])
    np.testing.assert_array_equal(diffs[0], [[0.5, -0.5]])


def test_targets_of_neither_kind_have_no_loss():
    rig = build_layer(TEXT, [SCORES, np.full(SCORES.shape, 255.0)])
    assert rig.forward()[0] == 0
    diffs, _ = rig.backward([np.array(1.0)], wanted=[0])
    assert not diffs[0].any()


def test_errors():
    with pytest.raises(LayerError) as error:
        build_layer(TEXT, [np.ones((2, 3)), np.ones((2, 4))])
    assert str(error.value) == (
        "layer 'layer' (SigmoidCrossEntropyBalanceLoss): needs as many targets as scores, got shapes (2, 3) "
        "and (2, 4)"
    )
