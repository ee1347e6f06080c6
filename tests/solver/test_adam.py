import numpy as np
import pytest
from two_updates import GRADIENTS, assert_near, two_updates

from pycaffe_lite.errors import SolverError


def test_two_updates():
    w, m, v = np.ones(3), np.zeros(3), np.zeros(3)
    right = []
    for t, g in enumerate(GRADIENTS, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.8 * v + 0.2 * g**2
        w = w - 0.1 * np.sqrt(1 - 0.8**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 0.01)
        right.append(w)
    got, histories = two_updates("type: 'Adam' base_lr: 0.1 momentum: 0.9 momentum2: 0.8 delta: 0.01")
    assert_near(got, right)
    assert_near(histories, [m, v])


@pytest.mark.parametrize("numbers", ["momentum: 1", "momentum: 0.9 momentum2: 1.5"])
def test_numbers_that_leave_no_correction(numbers):
    with pytest.raises(SolverError, match="Adam needs momentum < 1 and momentum2 <= 1, got "):
        two_updates(f"type: 'Adam' {numbers}")
