"""Flat kernels: each value is done once, with the arguments as they were given."""

import numpy as np
import pytest

from pycaffe_lite.kernels import absval
from pycaffe_lite.kernels.runtime import flat as _flat
from pycaffe_lite.kernels.runtime.cache import KernelCache
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads
from pycaffe_lite.kernels.runtime.flat import flat_kernel
from pycaffe_lite.kernels.runtime.steps import PIECE


@flat_kernel
def shifted(x, factor, y, shift):
    """y += factor * x + shift."""
    for i in range(x.size):
        y[i] += factor * x[i] + shift


@pytest.fixture(autouse=True)
def threads():
    before = get_num_threads()
    set_num_threads(2)
    yield
    set_num_threads(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE + 5])
def test_each_value_is_done_once(dtype, size):
    x, y = np.arange(size, dtype=dtype), np.full(size, 10, dtype)
    shifted(x, 2.0, y, 1)
    assert np.array_equal(y, 2 * x + 11)


def test_numbers_of_numpy_and_python_are_the_same():
    x, y = np.ones(4, np.float32), np.zeros(4, np.float32)
    shifted(x, 2.0, y, 1)
    known = len(shifted._signatures)
    shifted(x, np.float64(2), y, np.int64(1))
    assert (y == 6).all()
    assert len(shifted._signatures) == known
    shifted(x, 2.0, y, 0.5)  # another type
    assert len(shifted._signatures) == known + 1
    assert (y == 8.5).all()


@pytest.mark.parametrize(("size", "workers"), [(PIECE, 1), (PIECE + 1, 2)])
def test_one_piece_has_one_worker(monkeypatch, size, workers):
    started = []
    monkeypatch.setattr(_flat, "start", lambda signature, memory, args: started.append(len(memory)))
    shifted(np.ones(size, np.float32), 2.0, np.ones(size, np.float32), 1)
    assert started == [workers]


def test_the_python_function_stays_reachable():
    x, y = np.ones(3), np.zeros(3)
    shifted.py_func(x, 2, y, 1)
    assert (y == 3).all()
    assert (shifted.__name__, shifted.__doc__) == ("shifted", "y += factor * x + shift.")
    assert shifted.__module__ == __name__


def test_files_on_disk_are_named_after_the_function():
    cache = absval.forward.dispatcher._cache
    assert isinstance(cache, KernelCache)
    assert cache._name == "absval.forward.pieces"
