"""glibc's rand(); the numbers are those of a C program that calls srand and rand."""

import numpy as np
import pytest

from pycaffe_lite.kernels import c_rand

FIRST = {1: [1804289383, 846930886, 1681692777, 1714636915, 1957747793]}


def definition(seed, count):
    """The generator from its definition, in whole numbers of any size."""
    r = [seed]
    for _ in range(30):
        r.append(16807 * r[-1] % 0x7FFFFFFF)
    r += r[:3]
    while len(r) < 344 + count:
        r.append((r[-31] + r[-3]) % 2**32)
    return [word >> 1 for word in r[344:]]


@pytest.mark.parametrize("seed", [1, 2, 1701, 0x7FFFFFFE])
def test_numbers(seed):
    state = np.zeros(c_rand.STATE_WORDS, np.uint32)
    c_rand.seed(state, seed)
    numbers = [c_rand._next(state) for _ in range(100)]
    assert numbers == definition(seed, 100)
    assert numbers[:5] == FIRST.get(seed, numbers[:5])


def test_a_shuffle_swaps_each_item_with_one_before_it():
    state = np.zeros(c_rand.STATE_WORDS, np.uint32)
    c_rand.seed(state, 1)
    order = np.arange(40)
    c_rand.shuffle(state, order)
    right = list(range(40))
    for i, number in enumerate(definition(1, 39), 1):
        j = number % (i + 1)
        right[i], right[j] = right[j], right[i]
    assert order.tolist() == right


def test_the_state_goes_on():
    state = np.zeros(c_rand.STATE_WORDS, np.uint32)
    c_rand.seed(state, 1)
    for _ in range(2):
        c_rand.shuffle(state, np.arange(17))
    assert c_rand._next(state) == definition(1, 33)[-1]
