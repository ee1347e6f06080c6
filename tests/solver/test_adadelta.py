import numpy as np
from two_updates import GRADIENTS, assert_near, two_updates


def test_two_updates():
    w, h, h2 = np.ones(3), np.zeros(3), np.zeros(3)
    right = []
    for g in GRADIENTS:
        h = 0.9 * h + 0.1 * g**2
        u = g * np.sqrt((h2 + 0.01) / (h + 0.01))
        h2 = 0.9 * h2 + 0.1 * u**2
        w = w - 0.5 * u
        right.append(w)
    got, histories = two_updates("type: 'AdaDelta' base_lr: 0.5 momentum: 0.9 delta: 0.01")
    assert_near(got, right)
    assert_near(histories, [h, h2])
