"""The process's C generator, and shuffles by it."""

import numpy as np
import pytest

from pycaffe_lite.data import c_rand

FIRST = [1804289383, 846930886, 1681692777, 1714636915, 1957747793]


@pytest.fixture(autouse=True)
def fresh():
    c_rand.seed()
    yield
    c_rand.seed()


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
