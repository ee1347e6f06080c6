import numpy as np
import pytest
from two_updates import GRADIENTS, assert_near, two_updates

from pycaffe_lite.errors import SolverError


def test_two_updates():
    w, h = np.ones(3), np.zeros(3)
    right = []
    for g in GRADIENTS:
        h = 0.8 * h + 0.2 * g**2
        w = w - 0.1 * g / (np.sqrt(h) + 0.01)
        right.append(w)
    got, (history,) = two_updates("type: 'RMSProp' base_lr: 0.1 rms_decay: 0.8 delta: 0.01")
    assert_near(got, right)
    assert_near(history, h)


@pytest.mark.parametrize("decay", [-0.1, 1, 1.5])
def test_decays_that_cannot_be(decay):
    with pytest.raises(SolverError, match=f"RMSProp needs 0 <= rms_decay < 1, got {decay:g}"):
        two_updates(f"type: 'RMSProp' rms_decay: {decay}")


def test_the_decay_may_be_0():
    """Each step is then as long as the rate, whatever the gradient."""
    got, _ = two_updates("type: 'RMSProp' base_lr: 0.5 rms_decay: 0 delta: 0")
    assert_near(got, 1 - 0.5 * np.cumsum(np.sign(GRADIENTS), axis=0))
