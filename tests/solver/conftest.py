"""One thread for the tests of this folder: their nets are tiny, and results do not depend on threads."""

import pytest

from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads


@pytest.fixture(autouse=True, scope="package")
def _one_thread():
    before = get_num_threads()
    set_num_threads(1)
    yield
    set_num_threads(before)
