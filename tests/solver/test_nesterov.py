import numpy as np
from two_updates import GRADIENTS, assert_near, two_updates


def test_two_updates():
    w, h = np.ones(3), np.zeros(3)
    right = []
    for g in GRADIENTS:
        before, h = h, 0.9 * h + 0.1 * g
        w = w - (1.9 * h - 0.9 * before)
        right.append(w)
    got, (history,) = two_updates("type: 'Nesterov' base_lr: 0.1 momentum: 0.9")
    assert_near(got, right)
    assert_near(history, h)
