"""Named tuples that kernels read from arrays."""

from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.products.sizes import reader_of
from pycaffe_lite.kernels.runtime.decorators import serial_kernel


class Pair(NamedTuple):
    a: int
    b: int


class Turned(NamedTuple):
    b: int
    a: int


pair_of, turned_of = reader_of(Pair), reader_of(Turned)


@serial_kernel
def read(numbers):
    pair, turned = pair_of(numbers), turned_of(numbers)
    return 1000 * pair.a + 100 * pair.b + 10 * turned.a + turned.b


def test_fields_are_read_in_order_and_the_rest_is_ignored():
    """Two readers of equal length do not stand in for each other."""
    assert read(np.array([1, 2])) == 1221
    assert read(np.array([1, 2, 3])) == 1221
