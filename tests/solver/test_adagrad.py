import numpy as np
import pytest
from two_updates import GRADIENTS, assert_near, two_updates

from pycaffe_lite.errors import SolverError


def test_two_updates():
    w, h = np.ones(3), np.zeros(3)
    right = []
    for g in GRADIENTS:
        h = h + g**2
        w = w - 0.1 * g / (np.sqrt(h) + 0.01)
        right.append(w)
    got, (history,) = two_updates("type: 'AdaGrad' base_lr: 0.1 delta: 0.01")
    assert_near(got, right)
    assert_near(history, h)


def test_it_has_no_momentum():
    with pytest.raises(SolverError, match="AdaGrad"):
        two_updates("type: 'AdaGrad' momentum: 0.9")
