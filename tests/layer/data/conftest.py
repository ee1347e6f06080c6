"""What the tests of several data layers need."""

import pytest

from pycaffe_lite.kernels import get_num_threads, set_num_threads


@pytest.fixture
def number_of_threads():
    """Sets the number of threads, for one test."""
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)
