import numpy as np
from two_updates import GRADIENTS, assert_near, two_updates


def test_two_updates():
    w, h = np.ones(3), np.zeros(3)
    right = []
    for g in GRADIENTS:
        h = 0.9 * h + 0.1 * g
        w = w - h
        right.append(w)
    got, (history,) = two_updates("type: 'SGD' base_lr: 0.1 momentum: 0.9")
    assert_near(got, right)
    assert_near(history, h)


def test_a_change_of_the_rate_leaves_the_momentum_as_it_is():
    """The rate is part of h: at 0.01 from the second iteration on, the first step still goes on at 0.1."""
    got, _ = two_updates("type: 'SGD' base_lr: 0.1 momentum: 0.5 lr_policy: 'step' stepsize: 1 gamma: 0.1")
    first = 0.1 * GRADIENTS[0]
    assert_near(got, [1 - first, 1 - first - (0.5 * first + 0.01 * GRADIENTS[1])])


def test_without_momentum_it_is_gradient_descent():
    got, _ = two_updates("type: 'SGD' base_lr: 0.1")
    assert_near(got, 1 - 0.1 * np.cumsum(GRADIENTS, axis=0))
