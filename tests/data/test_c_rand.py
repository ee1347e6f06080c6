"""C's rand(): its first values, and shuffles of them."""

import numpy as np
import pytest

from pycaffe_lite.data import c_rand
from pycaffe_lite.kernels import c_rand as kernels

FIRST = [1804289383, 846930886, 1681692777, 1714636915, 1957747793]


@pytest.fixture(autouse=True)
def fresh():
    c_rand.seed()
    yield
    c_rand.seed()


def test_first_values():
    state = np.zeros(kernels.STATE_WORDS, np.uint32)
    kernels.seed(state, 1)
    assert [kernels._next(state) for _ in FIRST] == FIRST


def test_shuffle():
    items = list("abcde")
    for i, value in enumerate(FIRST[:4], 1):
        j = value % (i + 1)
        items[i], items[j] = items[j], items[i]
    order = np.arange(5)
    c_rand.shuffle(order)
    assert [list("abcde")[i] for i in order] == items


def test_going_on():
    order = np.arange(50)
    c_rand.shuffle(order)
    state = c_rand.state()
    assert len(state) == c_rand.STATE_BYTES
    once, again = np.arange(50), np.arange(50)
    c_rand.shuffle(once)
    c_rand.set_state(state)
    c_rand.shuffle(again)
    np.testing.assert_array_equal(once, again)
