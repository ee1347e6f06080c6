"""Named tuples that kernels read from arrays."""

from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.products.sizes import reader_of
from pycaffe_lite.kernels.runtime.decorators import serial_kernel


class Pair(NamedTuple):
    a: int
    b: int


class Exchanged(NamedTuple):
    b: int
    a: int


pair_of, exchanged_of = reader_of(Pair), reader_of(Exchanged)


@serial_kernel
def read(numbers):
    pair, exchanged = pair_of(numbers), exchanged_of(numbers)
    return 1000 * pair.a + 100 * pair.b + 10 * exchanged.a + exchanged.b


def test_fields_are_read_in_order_and_the_rest_is_ignored():
    """Two readers of equal length do not stand in for each other."""
    assert read(np.array([1, 2])) == 1221
    assert read(np.array([1, 2, 3])) == 1221
