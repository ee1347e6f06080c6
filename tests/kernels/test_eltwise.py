"""Sums, products, maxima and the like; Dropout's product, Split's sum, copies and constants: as simple."""

import math

import numpy as np
import pytest

from pycaffe_lite.kernels import constant, copy, dropout, eltwise, split

# kernel, its numbers, what it gives
CASES = [
    (eltwise.scaled_sum, (3.0, 0.5, 2.0, -2.0, 0.25), -0.625),
    (eltwise.scaled_sum, (3.0, 0.5, 2.0, -0.5, 0.25), 0.5),
    (eltwise.scale, (3.0, 0.5), 1.5),
    (eltwise.product, (3.0, 0.5), 1.5),
    (eltwise.quotient_product, (6.0, 3.0, 5.0), 10.0),
    (eltwise.maximum, (3.0, 2.0), (0, 3.0)),
    (eltwise.maximum, (2.0, 3.0), (1, 3.0)),
    (eltwise.maximum, (2.0, 2.0), (1, 2.0)),
    (eltwise.maximum_with, (3.0, 4, 1, 2.0), (4, 3.0)),
    (eltwise.maximum_with, (2.0, 4, 1, 2.0), (1, 2.0)),
    (eltwise.minimum, (2.0, 3.0), (0, 2.0)),
    (eltwise.minimum, (3.0, 2.0), (1, 2.0)),
    (eltwise.minimum, (2.0, 2.0), (1, 2.0)),
    (eltwise.minimum_with, (1.0, 4, 1, 2.0), (4, 1.0)),
    (eltwise.minimum_with, (2.0, 4, 1, 2.0), (1, 2.0)),
    (eltwise.winner_gradient, (4, 4, 3.0), 3.0),
    (eltwise.winner_gradient, (1, 4, 3.0), 0.0),
    (eltwise.quotient, (3.0, 0.5), 6.0),
    (eltwise.divisor_gradient, (6.0, 3.0, 5.0), -10.0),
    (dropout.apply, (3.0, 1, 2.0), 6.0),
    (dropout.apply, (3.0, 0, 2.0), 0.0),
    (split.add, (3.0, 0.5), 3.5),
    (copy.forward, (3.0,), 3.0),
    (constant.forward, (3.0,), 3.0),
    (constant.backward, (math.nan,), 0.0),
]


@pytest.mark.parametrize(("kernel", "numbers", "wanted"), CASES)
def test_formula(kernel, numbers, wanted):
    given = [np.float64(number) if isinstance(number, float) else number for number in numbers]
    assert kernel.py_func(*given) == wanted


def test_maximum_of_three_knows_the_winner():
    arrays = np.random.default_rng(0).standard_normal((3, 100)).astype(np.float32)
    winner, y = np.empty(100, np.int32), np.empty(100, np.float32)
    eltwise.maximum(arrays[0], arrays[1], winner, y)
    eltwise.maximum_with(arrays[2], 2, winner, y, winner, y)
    np.testing.assert_array_equal(y, arrays.max(axis=0))
    np.testing.assert_array_equal(winner, arrays.argmax(axis=0))
